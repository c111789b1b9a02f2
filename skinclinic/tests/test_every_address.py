"""Every address of the URLconf, with each role, with nobody and with another clinic: as `docs/access.md` says.

Generated from the URLconf, so that no page can be forgotten.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls.converters import UUIDConverter

from conftest import Cast
from skinclinic.accounts.models import User
from skinclinic.tests.addresses import Address, addresses, one_of_everything

ELSEWHERE = ("api/", "fhir/", "dicomweb/", "accounts/", "admin/")
ROW = re.compile(r"\| `/(?P<route>[^`]*)` \| (?P<get>[a-z ]*?) *\| (?P<post>[a-z ]*?) *\|")
OF_NORTH = ("Winterbottom", "Autumnbottom", "5551234", "Changing for three months?", "Alice Alder")
ANYONE = "anyone"
ROLES = {"c": "alice", "r": "rita", "m": "ada", "a": "otto"}
# Of no clinic: what they name is the same for all, or is itself what lets somebody in.
OF_NO_CLINIC = {"version", "name", "token", "clinic_id"}
DOORS = {
    "account_login", "account_inactive", "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key_done", "account_email_verification_sent", "find_hospital", "clinic_door",
    "account_signup",  # which says that it is closed
    "session", "",  # the last: another address of one of these
}  # fmt: skip
# Told by the database itself, row by row, whether anything of a clinic was written.
NOT_OF_THE_RECORD = {"audit_auditevent", "audit_unsealedevent"}


@dataclass(frozen=True)
class Rights:
    get: str
    post: str

    def of(self, method: str) -> str:
        return self.get if method == "get" else self.post


def written_rights() -> dict[str, Rights]:
    """By the address without the kinds of its ids."""
    rows = ROW.finditer((settings.BASE_DIR / "docs" / "access.md").read_text())
    return {row["route"]: Rights(row["get"], row["post"]) for row in rows}


RIGHTS = written_rights()


def short(address: Address) -> str:
    return re.sub(r"<\w+:", "<", address.route)


def portal() -> list[Address]:
    return addresses(without=ELSEWHERE)


def served(address: Address) -> Iterator[str]:
    yield from (method for method in ("get", "post") if RIGHTS[short(address)].of(method))


@pytest.fixture
def ids(cast: Cast, photograph_bytes: bytes) -> dict[str, str]:
    return one_of_everything(cast, photograph_bytes)


@contextmanager
def undone() -> Iterator[None]:
    """What one address changes, the next one does not find."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def ask(client: Client, method: str, path: str, clinic_id: object) -> HttpResponse:
    return getattr(client, method)(path, {"clinic": str(clinic_id)} if method == "post" else {})


def test_every_address_is_in_the_table_and_none_else():
    assert {short(each) for each in portal()} == set(RIGHTS)


def test_every_address_names_what_it_is_about_by_an_opaque_key():
    """14.2.1: an address stands in histories, logs and on screens."""
    others = {name for each in portal() for name in each.ids if not isinstance(converter(each, name), UUIDConverter)}
    assert others == {"token", "client_id", "kind", "version", "name"}, "a secret, a system, a consent's kind, a model"


def converter(address: Address, name: str) -> object:
    return address.pattern.pattern.converters[name]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_comes_in_where_the_table_says(cast, ids, role):
    client, wrong = getattr(cast, ROLES[role]).client, []
    for each in portal():
        for method in served(each):
            allowed = RIGHTS[short(each)].of(method)
            if allowed == ANYONE:
                continue
            with undone():
                came_in = ask(client, method, each.path(ids), cast.north.pk).status_code != 403
            if came_in != (role in allowed.split()):
                wrong.append((method, short(each), came_in))
    assert not wrong


def test_nobody_comes_in_without_signing_in(cast, ids):
    client, before, wrong = Client(), record_of(cast), []
    for each in portal():
        for method in ("get", "post"):
            if RIGHTS[short(each)].of(method) == ANYONE:
                continue
            answer = ask(client, method, each.path(ids), cast.north.pk)
            led_away = answer.status_code == 302 and answer["Location"].startswith("/accounts/login/")
            if not led_away and answer.status_code not in (403, 405):
                wrong.append((method, short(each), answer.status_code))
            assert not named_in(answer), each
    assert not wrong
    assert record_of(cast) == before


def test_another_clinics_ids_are_not_found(cast, ids):
    """Bob has every role, in South."""
    client, before, wrong = cast.bob.client, record_of(cast), []
    theirs = [each for each in portal() if set(each.ids) - OF_NO_CLINIC]
    for each in theirs:
        for method in served(each):
            answer = ask(client, method, each.path(ids), cast.south.pk)
            # A look at what is only sent leads to the photograph's page, which is asked for in its turn.
            leads_on = answer.status_code == 302 and answer["Location"] == f"/screenings/{ids['screening_id']}/"
            if answer.status_code not in (404, 409) and not leads_on:
                wrong.append((method, short(each), answer.status_code))
            assert not named_in(answer), each
    assert len(theirs) > 70
    assert not wrong
    assert record_of(cast) == before


def test_pages_without_an_id_show_nothing_of_another_clinic(cast, ids):
    keys = {ids[name] for name in ids if name not in OF_NO_CLINIC | {"kind"}}
    client = cast.bob.client
    for each in portal():
        if not each.ids and "get" in served(each):
            answer = ask(client, "get", each.path(ids), cast.south.pk)
            shown = body(answer)
            assert not named_in(answer), each
            assert not [key for key in keys if key in shown], each


def test_what_came_from_outside_is_served_in_a_sandbox(cast, ids):
    """Photographs in whatever form: a browser that is led to one runs nothing of it."""
    client, found = cast.rita.client, set()
    for each in portal():
        if "r" in RIGHTS[short(each)].get.split():
            answer = client.get(each.path(ids))
            kind = answer.get("Content-Type", "text/html").partition(";")[0]
            if kind.startswith("image/") or kind == "application/dicom":
                found.add(kind)
                assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox", each
                assert answer["X-Content-Type-Options"] == "nosniff", each
            body(answer)
    assert found >= {"image/jpeg", "image/png", "application/dicom"}


def test_pages_of_ones_own_account_want_a_sign_in(cast):
    """All that is not itself a way in, or out, or back to a forgotten password."""
    keys = {"clinic_id": str(cast.north.pk), "pk": "1", "uidb36": "1", "key": "guessed"}
    for each in addresses():
        if each.route.startswith("accounts/") and each.name not in DOORS and "^" not in each.route:
            answer = Client().get(each.path(keys))
            assert answer.status_code in (302, 404, 405), each
            assert "Location" not in answer or answer["Location"].startswith("/accounts/"), each


@pytest.mark.parametrize("who", ["alice", "ada", "otto"])
def test_operators_pages_are_closed_to_members(cast, who):
    client = getattr(cast, who).client
    for path in operators_pages(cast):
        for method in ("get", "post"):
            assert ask(client, method, path, cast.north.pk).status_code in (302, 403), path


def test_operator_changes_nothing_on_her_pages(cast):
    operator = User.objects.create_superuser("operator@example.org", full_name="Olga Operator")
    client, before = Client(), record_of(cast)
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    for path in operators_pages(cast):
        answer = client.post(path, {"full_name": "Changed", "name": "Changed", "post": "yes"})
        assert answer.status_code in (302, 403, 404, 405) or "Changed" not in body(answer), path
    assert record_of(cast) == before
    assert not User.objects.filter(full_name="Changed").exists()


def operators_pages(cast: Cast) -> list[str]:
    keys = {"object_id": str(cast.alice.user.pk), "content_type_id": "1"}
    named = [each for each in addresses() if each.route.startswith("admin/") and "(?P" not in each.route]
    leaves = {"logout/", "jsi18n/"}
    return [each.path(keys) for each in named if not each.route.endswith(tuple(leaves))]


def record_of(cast: Cast) -> dict[str, str]:
    """A digest of each table that has a clinic, as North sees it."""
    with cast.in_north(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'clinic_id'"
        )
        found = {}
        for (table,) in cursor.fetchall():
            if table not in NOT_OF_THE_RECORD:
                cursor.execute(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
                found[table] = cursor.fetchone()[0]
        return found


def body(answer: HttpResponse) -> str:
    return answer.getvalue().decode(errors="replace")


def named_in(answer: HttpResponse) -> list[str]:
    shown = body(answer)
    return [name for name in OF_NORTH if name in shown]
