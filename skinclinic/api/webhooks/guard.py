"""Which addresses messages may go to: a webhook must not become a way into the clinic's own network."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from skinclinic.errors import ClinicError

MOST_CHARACTERS = 500
PORTS = {"https": 443, "http": 80}
# Letters, digits and what RFC 3986 allows beside them. Anything else, two programs may read in two ways.
PLAIN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_\-.]*[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]+")
# IPv4 addresses that stand in IPv6 ones: the well-known prefix of translators (RFC 6052).
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(ClinicError):
    code = "webhook-address-refused"


class NameNotFound(ClinicError):
    """The name of the receiver leads nowhere now."""


@dataclass(frozen=True)
class Target:
    """Where a message goes; `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str


def target_of(url: str) -> Target:
    """What can be said of an address without asking for its name. Raises AddressRefused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise AddressRefused(_("This is no address. Write it as https://receiver.example/path.")) from error
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.WEBHOOKS_TO_PRIVATE_ADDRESSES):
        raise AddressRefused(_("The address must begin with https://."))
    if len(url) > MOST_CHARACTERS or not PLAIN.fullmatch(url) or not HOST.fullmatch(host) or len(host) > 253:
        raise AddressRefused(_("This is no address. Write it as https://receiver.example/path."))
    if "@" in parts.netloc or parts.fragment:
        raise AddressRefused(_("Leave out the user, the password and what follows a #."))
    refuse_private(as_numbers(host))
    return Target(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def as_numbers(host: str) -> list[Address]:
    """Of a host that is an address already, in whatever way (127.1, 0x7f000001, 2130706433); no name is asked for."""
    if host.rstrip(".").lower() == "localhost":
        return [ipaddress.IPv4Address("127.0.0.1")]
    try:
        return addresses(host, flags=socket.AI_NUMERICHOST)
    except OSError:
        return []


def resolve(target: Target) -> list[str]:
    """The addresses to connect to, and no others: the name is not asked for again.

    Raises AddressRefused where one of them is private, NameNotFound where there is none.
    """
    try:
        found = addresses(target.host)
    except (OSError, UnicodeError) as error:
        raise NameNotFound(_("The name of the receiver was not found")) from error
    refuse_private(found)
    return [str(address) for address in found]


def addresses(host: str, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    return [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_rest, place in found]


def refuse_private(found: list[Address]) -> None:
    if not settings.WEBHOOKS_TO_PRIVATE_ADDRESSES and not all(map(is_public, found)):
        raise AddressRefused(
            _("This address is in a private network. Messages go to addresses of the public internet only.")
        )


def is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or site_local
    )
