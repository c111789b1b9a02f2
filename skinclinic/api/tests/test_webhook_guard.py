"""A webhook is no way into the clinic's own network: what is refused, and that what was looked at is connected to."""

import socket
import time
from ipaddress import ip_network

import pytest

from conftest import Cast
from skinclinic.api.tests.receiving import receiving
from skinclinic.api.tests.test_webhooks import deliveries, endpoint_of, happen
from skinclinic.api.webhooks.sending import send_due
from skinclinic.env import EnvironmentProblem, networks
from skinclinic.outgoing import wire
from skinclinic.outgoing.guard import AddressRefused, resolve, target_of

PUBLIC = "93.184.215.14"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST.", "0.0.0.0", "0", "10.0.0.5", "172.16.0.1", "192.168.1.1",  # noqa: S104
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "10.1",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.5]", "[fe80::1]", "[fc00::1]",
        "[fec0::1]", "[ff02::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:a00:5::1]",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(host):
    with pytest.raises(AddressRefused, match=r"private network .* Ask whoever runs this installation"):
        target_of(f"https://{host}/hook")
    with pytest.raises(AddressRefused, match="ask whoever runs this installation to list that in SEND_TO_NETWORKS"):
        target_of(f"http://{host}/hook")


@pytest.mark.parametrize("host", [PUBLIC, "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]", "receiver.example"])
def test_public_ones_and_names_are_taken(host):
    assert target_of(f"https://{host}/hook?x=1").path == "/hook?x=1"


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "http://receiver.example/", "ftp://receiver.example/", "https://", "https:///x", "https://a b/",
        "https://receiver.example\\@127.0.0.1/", "https://user:word@receiver.example/", "https://receiver.example/#x",
        "https://receiver.example:99999/", "https://[::1", "https://rëceiver.example/", "https://receiver.example/\n",
        "https://x\x00.example/", "//receiver.example/", "https://receiver.example/" + "x" * 500, "https://-/",
        "https://a..b/", f"https://{'x' * 64}.example/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url):
    with pytest.raises(AddressRefused):
        target_of(url)


def answers_of(monkeypatch, *answers: list[str]) -> list[str]:
    """The name server tells these, one after the other; what is connected to is told back."""
    real, told, connected = socket.getaddrinfo, list(answers), []

    def look_up(host, *rest, **more):
        if host != "receiver.example":
            return real(host, *rest, **more)
        if more.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in told.pop(0)]

    def connect(address, *rest, **more):
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    return connected


@pytest.mark.parametrize("private", ["127.0.0.1", "10.0.0.5", "169.254.169.254"])
def test_a_name_that_leads_inside_is_not_connected_to(cast: Cast, monkeypatch, private):
    endpoint_of(cast.ada, "https://receiver.example/hook")
    connected = answers_of(monkeypatch, [PUBLIC, private])
    happen(cast)
    send_due()
    assert not connected
    assert deliveries(cast)[0].trouble == "address_refused"


def test_connections_are_given_what_is_left_of_the_time(monkeypatch):
    """Two addresses that swallow what is sent to them take no longer than one."""
    given = []

    def swallow(address, timeout):
        given.append(timeout)
        monkeypatch.setattr(wire.time, "monotonic", lambda: ends - 1)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", swallow)
    ends = time.monotonic() + 4
    with pytest.raises(TimeoutError):
        wire.connect([PUBLIC, "93.184.215.15", "93.184.215.16"], 443, ends)
    assert len(given) == 2
    assert given[0] == pytest.approx(4, abs=0.5)
    assert given[1] == pytest.approx(1)
    with pytest.raises(TimeoutError):
        wire.connect([PUBLIC], 443, ends - 2)
    assert len(given) == 2, "none is begun after the deadline"


def test_a_name_is_asked_for_once(cast: Cast, monkeypatch):
    """One that says something else at the second question (DNS rebinding) is not asked it."""
    endpoint_of(cast.ada, "https://receiver.example/hook")
    connected = answers_of(monkeypatch, [PUBLIC], ["127.0.0.1"])
    happen(cast)
    send_due()
    assert connected == [PUBLIC]
    assert deliveries(cast)[0].trouble == "no_connection"


def test_an_address_that_was_changed_behind_the_form_is_not_connected_to(cast: Cast):
    endpoint, _secret = endpoint_of(cast.ada, "https://receiver.example/hook")
    with receiving() as inner, cast.in_north():
        type(endpoint).objects.filter(pk=endpoint.pk).update(url=inner.url)
        happen(cast)
        send_due()
        assert not inner.got
    assert deliveries(cast)[0].trouble == "address_refused"


def test_a_name_that_is_not_found_is_said(cast: Cast, monkeypatch):
    def none(*rest, **more):
        raise socket.gaierror

    endpoint_of(cast.ada, "https://receiver.example/hook")
    monkeypatch.setattr(socket, "getaddrinfo", none)
    happen(cast)
    send_due()
    assert deliveries(cast)[0].trouble == "no_address"


def listing(settings, *networks: str) -> None:
    settings.SEND_TO_NETWORKS = [ip_network(network) for network in networks]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["10.20.0.5", "192.168.7.4", "0x0a140005", "[::ffff:10.20.0.5]", "[fd12::7]"])
def test_networks_that_are_listed_are_open(settings, scheme, host):
    listing(settings, "10.20.0.0/16", "192.168.7.4/32", "fd12::/16")
    assert len(resolve(target_of(f"{scheme}://{host}:8000/fhir"))) == 1


@pytest.mark.parametrize("host", ["10.21.0.5", "192.168.7.5", "127.0.0.1", "169.254.169.254", "[fd13::7]", "[::1]"])
def test_what_is_not_listed_stays_refused(settings, host):
    listing(settings, "10.20.0.0/16", "192.168.7.4/32", "fd12::/16")
    with pytest.raises(AddressRefused, match="SEND_TO_NETWORKS"):
        target_of(f"https://{host}/")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "0.0.0.0", "224.0.0.1"],  # noqa: S104
)
def test_this_machine_is_open_only_where_it_is_listed_itself(settings, host):
    listing(settings, "0.0.0.0/0", "::/0")
    with pytest.raises(AddressRefused):
        target_of(f"https://{host}/")
    listing(settings, "127.0.0.0/8", "::1/128", "169.254.169.254/32", "fe80::/10", "0.0.0.0/32", "224.0.0.0/4")
    assert target_of(f"https://{host}/")


def test_http_is_for_listed_networks_alone(cast: Cast, monkeypatch, settings):
    listing(settings, "10.20.0.0/16")
    with pytest.raises(AddressRefused, match=r"http:// .* ask whoever runs this installation"):
        target_of(f"http://{PUBLIC}/")
    endpoint_of(cast.ada, "http://receiver.example/hook")
    connected = answers_of(monkeypatch, [PUBLIC])
    happen(cast)
    send_due()
    assert not connected
    assert deliveries(cast)[0].trouble == "address_refused"


def test_a_name_that_leads_into_a_listed_network_is_connected_to(cast: Cast, monkeypatch, settings):
    listing(settings, "10.20.0.0/16")
    endpoint_of(cast.ada, "https://receiver.example/hook")
    connected = answers_of(monkeypatch, ["10.20.0.5"])
    happen(cast)
    send_due()
    assert connected == ["10.20.0.5"]


@pytest.mark.parametrize("said", ["10.20.0.5/16", "10.20.0.0/33", "everything", "10.20.0.0/16;10.21.0.0/16"])
def test_networks_that_cannot_be_meant_are_refused_at_the_start(monkeypatch, said):
    monkeypatch.setenv("SEND_TO_NETWORKS", said)
    with pytest.raises(EnvironmentProblem, match="SEND_TO_NETWORKS must list networks") as refusal:
        networks("SEND_TO_NETWORKS")
    assert said not in str(refusal.value)
    monkeypatch.delenv("SEND_TO_NETWORKS")
    assert networks("SEND_TO_NETWORKS") == []
