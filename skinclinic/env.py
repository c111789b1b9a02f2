"""What the surroundings say: environment variables, read strictly.

Any variable may come from a file instead: `SECRET_KEY_FILE=/run/secrets/key`. A `.env` file beside `manage.py` is read
once; what the environment already says wins over it. An empty value counts as not set. A value that cannot be meant
is refused with a sentence that never repeats the value, since it may be a secret.
"""

import os
import re
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, overload
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

ROOT = Path(__file__).resolve().parent.parent
Network = IPv4Network | IPv6Network

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off"})
POSTGRES_SCHEMES = ("postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "unix")
ASSIGNMENT = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
# The libpq keywords that make sense in an address; others are spelling mistakes that would only fail at connecting.
POSTGRES_OPTIONS = {
    *("application_name", "channel_binding", "client_encoding", "connect_timeout", "gssencmode", "keepalives"),
    *("keepalives_count", "keepalives_idle", "keepalives_interval", "options", "passfile", "require_auth", "service"),
    *("sslcert", "sslcrl", "sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert"),
    *("target_session_attrs", "tcp_user_timeout"),
}


class EnvironmentProblem(Exception):
    """A variable is missing or cannot be meant as it stands; the message says which, and what to do."""


@overload
def text(name: str) -> str | None: ...
@overload
def text(name: str, default: str) -> str: ...
@overload
def text(name: str, default: None) -> str | None: ...
def text(name: str, default: str | None = None) -> str | None:
    """The value of `name`, or of the file that `name`_FILE points at."""
    load_dotenv_once()
    value, file = os.environ.get(name, ""), os.environ.get(f"{name}_FILE", "")
    if value and file:
        raise EnvironmentProblem(f"Both {name} and {name}_FILE are set; keep one of them.")
    if file:
        value = read_secret_file(f"{name}_FILE", Path(file))
    return value or default


def flag(name: str, default: bool = False) -> bool:
    value = text(name)
    if value is None:
        return default
    if value.strip().lower() in YES:
        return True
    if value.strip().lower() in NO:
        return False
    raise EnvironmentProblem(f"{name} must be one of 1, true, yes, on, 0, false, no or off.")


def integer(name: str, default: int, *, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    value = text(name)
    if value is None:
        return default
    if not re.fullmatch(r"\s*-?[0-9]{1,10}\s*", value) or not minimum <= int(value) <= maximum:
        raise EnvironmentProblem(f"{name} must be a whole number from {minimum} to {maximum}.")
    return int(value)


def choice(name: str, known: tuple[str, ...]) -> str:
    """One of `known`, of which the first is meant where nothing is said."""
    value = text(name, known[0])
    if value not in known:
        raise EnvironmentProblem(f"{name} must be {' or '.join(known)}.")
    return value


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """A comma-separated list, such as ALLOWED_HOSTS."""
    value = text(name)
    return list(default) if value is None else [word.strip() for word in value.split(",") if word.strip()]


def networks(name: str) -> list[Network]:
    """A comma-separated list of networks, such as 10.20.0.0/16; a single address counts as a network of one."""
    try:
        return [ip_network(word) for word in words(name)]
    except ValueError as error:
        raise EnvironmentProblem(
            f"{name} must list networks by their first address, separated by commas: 10.20.0.0/16, 192.168.7.4/32."
        ) from error


def secret(name: str, *, at_least: int = 1) -> str:
    """A value that must be there: a secret has no default."""
    value = text(name)
    if value is None:
        raise EnvironmentProblem(f"{name} is not set; set it, or {name}_FILE, to a long random text of your own.")
    if len(value) < at_least:
        raise EnvironmentProblem(f"{name} is too short; it needs {at_least} characters or more.")
    return value


def url(name: str, default: str | None = None, *, schemes: tuple[str, ...] = ()) -> str | None:
    """An address with a scheme and a place; `schemes` names those that will do (any, if empty)."""
    value = text(name, default)
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise EnvironmentProblem(f"{name} is not a URL; percent-encode odd characters in its password.") from error
    if schemes and parts.scheme not in schemes:
        raise EnvironmentProblem(f"{name} must start with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    if not parts.scheme or not (parts.netloc or parts.path.strip("/")) or re.search(r"[\s\x00-\x1f]", value):
        raise EnvironmentProblem(f"{name} is not a URL of the form scheme://host/.")
    return value


def database(address: str, name: str = "DATABASE_URL") -> dict[str, Any]:
    """Django's DATABASES entry for `postgresql://user:password@host:port/name?host=/socket/folder&sslmode=require`.

    `name` is the variable to blame when the address cannot be meant.
    """
    if not address.startswith(tuple(f"{scheme}://" for scheme in POSTGRES_SCHEMES)):
        raise EnvironmentProblem(f"{name} must be a Postgres address: postgresql://user:password@host:5432/name.")
    try:
        parts = urlsplit(address)
        port = parts.port
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise EnvironmentProblem(
            f"{name} cannot be read; percent-encode odd characters in its password (a / is %2F, a # is %23)."
        ) from error
    if parts.fragment or not parts.path.strip("/"):
        raise EnvironmentProblem(f"{name} names no database; write postgresql://user:password@host:5432/name.")
    # urlsplit's own hostname is lower-cased, which breaks a socket folder written in place of the host.
    host = parts.netloc.rpartition("@")[2]
    host = re.sub(r":[0-9]*$", "", host) if not host.endswith("]") else host
    entry = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or unquote(host.strip("[]")),
        "PORT": query.pop("port", "") or (str(port) if port else ""),
    }
    for option in query:
        if option not in POSTGRES_OPTIONS:
            raise EnvironmentProblem(f"{name} has a setting that Postgres does not know: {option[:40]!r}.")
    return {**entry, "OPTIONS": query}


def postgres_url(*, user: str, password: str, host: str, port: int | str, name: str) -> str:
    """The address that `database()` reads back; a host that starts with / is the folder of a Unix socket."""
    person = f"{quote(user, safe='')}:{quote(password, safe='')}"
    if host.startswith("/"):
        query = urlencode({"host": host, "port": port}, quote_via=quote)
        return f"postgresql://{person}@/{quote(name, safe='')}?{query}"
    place = f"[{host}]" if ":" in host else host
    return f"postgresql://{person}@{place}:{port}/{quote(name, safe='')}"


def read_secret_file(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentProblem(f"{name} points at a file that cannot be read: {path}.") from error


@cache
def load_dotenv_once() -> None:
    load_dotenv(ROOT / ".env")


def load_dotenv(path: Path) -> None:
    """Put the file's variables into the environment, except those that it already has (also as NAME_FILE)."""
    if not path.is_file():
        return
    already = set(os.environ)
    for name, value in parse_dotenv(read_secret_file(".env", path)).items():
        bare = name.removesuffix("_FILE")
        if not {name, bare, f"{bare}_FILE"} & already:
            os.environ[name] = value


def parse_dotenv(content: str) -> dict[str, str]:
    """NAME=value lines; quotes around a value are taken off, ` #` starts a comment, nothing is expanded."""
    values = {}
    for number, line in enumerate(content.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = ASSIGNMENT.fullmatch(stripped)
        if match is None:
            raise EnvironmentProblem(f"Line {number} of .env is not of the form NAME=value.")
        values[match["name"]] = unquoted(match["value"], number)
    return values


def unquoted(value: str, line: int) -> str:
    if value[:1] in {'"', "'"}:
        body, closing, rest = value[1:].partition(value[0])
        if not closing or (rest.strip() and not rest.strip().startswith("#")):
            raise EnvironmentProblem(f"Line {line} of .env has a quotation mark that is not closed.")
        return body
    return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
