"""Which addresses requests may go to: one that a manager names must not become a way into the clinic's own network."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from skinclinic.env import Network
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
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.SEND_TO_NETWORKS):
        raise AddressRefused(
            _(
                "The address must begin with https://. For http:// in a network of your own, ask whoever runs this "
                "installation to list that in SEND_TO_NETWORKS."
            )
        )
    if len(url) > MOST_CHARACTERS or not PLAIN.fullmatch(url) or not HOST.fullmatch(host) or len(host) > 253:
        raise AddressRefused(_("This is no address. Write it as https://receiver.example/path."))
    if "@" in parts.netloc or parts.fragment:
        raise AddressRefused(_("Leave out the user, the password and what follows a #."))
    target = Target(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    refuse_closed(target, as_numbers(host))
    return target


def validate_address(url: str) -> None:
    """For the fields of forms and serializers."""
    try:
        target_of(url)
    except AddressRefused as refusal:
        raise ValidationError(str(refusal)) from refusal


def as_numbers(host: str) -> list[Address]:
    """Of a host that is an address already, in whatever way (127.1, 0x7f000001, 2130706433); no name is asked for.

    Raises AddressRefused where it can be neither an address nor a name.
    """
    if host.rstrip(".").lower() == "localhost":
        return [ipaddress.IPv4Address("127.0.0.1")]
    try:
        return addresses(host, flags=socket.AI_NUMERICHOST)
    except UnicodeError as error:  # an empty part, or one of more than 63 letters
        raise AddressRefused(_("This is no address. Write it as https://receiver.example/path.")) from error
    except OSError:
        return []


def resolve(target: Target) -> list[str]:
    """The addresses to connect to, and no others: the name is not asked for again.

    Raises AddressRefused where nothing is sent to one of them, NameNotFound where there is none.
    """
    try:
        found = addresses(target.host)
    except (OSError, UnicodeError) as error:
        raise NameNotFound(_("The name of the receiver was not found")) from error
    refuse_closed(target, found)
    return [str(address) for address in found]


def addresses(host: str, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    return [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_rest, place in found]


def refuse_closed(target: Target, found: list[Address]) -> None:
    """http is for the networks that are listed, https for the public internet too."""
    meant = [inner_of(address) for address in found]
    if target.scheme == "http" and not all(map(is_listed, meant)):
        raise AddressRefused(
            _(
                "http:// is for receivers in networks that are listed in SEND_TO_NETWORKS. Begin the address with "
                "https://, or ask whoever runs this installation to list its network."
            )
        )
    if not all(is_listed(address) or is_public(address) for address in meant):
        raise AddressRefused(
            _(
                "This address is in a private network that is not open for this. Ask whoever runs this installation "
                "to list that network in SEND_TO_NETWORKS."
            )
        )


def inner_of(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def is_listed(address: Address) -> bool:
    return any(address in network and is_meant(network, address) for network in settings.SEND_TO_NETWORKS)


def is_meant(network: Network, address: Address) -> bool:
    """A network that holds half the world does not open this machine, or what a cloud tells its machines."""
    return all(
        getattr(network, kind)
        for kind in ("is_loopback", "is_link_local", "is_multicast", "is_reserved", "is_unspecified")
        if getattr(address, kind)
    )


def is_public(address: Address) -> bool:
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or site_local
    )
