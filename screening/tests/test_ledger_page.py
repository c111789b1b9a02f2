"""The clinic's ledger on a page: who may read it, what it tells, and its seals verified."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Person
from screening.dashboard.alarms import asking
from screening.dashboard.now import look
from screening.deeds import DECIDED, LOOKS, THINGS
from screening.services.ledger import sweep_verifications
from screening.tests.conftest import give
from screening.tests.test_blind import set_blind
from skinclinic.accounts.models import Role
from skinclinic.audit.models import AuditEvent, Fault, Verification
from skinclinic.audit.sealing import seal_ledger
from skinclinic.audit.tests.test_ledger import tables_with_trigger
from skinclinic.workers import RollCall


def lines(person: Person, **asked: str) -> list[str]:
    return [line.what for line in person.client.get(reverse("ledger"), asked).context["lines"]]


def test_it_works(cast, chart, screening):
    give(cast, screening)
    response = cast.otto.client.get(reverse("ledger"))
    shown = response.context["lines"]
    assert {"Patient added", "Review added", "Joined the clinic"} <= {line.what for line in shown}
    review = next(line for line in shown if line.what == "Review added")
    assert (review.who, review.details, review.patient_id) == ("Rita Rowan", [], chart.patient.pk)
    assert reverse("patient_history", args=[chart.patient.pk]) in response.content.decode()
    assert "Ledger opened" in lines(cast.ada), "who looked is on it as well"


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("rita", 403), ("ada", 200), ("otto", 200)])
def test_managers_and_auditors_read_it(cast, name, status):
    client = getattr(cast, name).client
    assert client.get(reverse("ledger")).status_code == status
    assert client.get(reverse("ledger_seals")).status_code == status
    asked = {"clinic": str(cast.north.pk), "words": "Winterbottom"}
    assert client.post(reverse("ledger_patients"), asked).status_code == status
    assert client.post(reverse("ledger_verify"), asked).status_code == (302 if status == 200 else status)


def test_it_is_narrowed_to_a_thing_and_to_an_act(cast, chart):
    cast.alice.client.get(reverse("patient_chart", args=[chart.patient.pk]))
    assert set(lines(cast.otto, what="thing:patients_consent")) == {"Consent added"}
    assert set(lines(cast.otto, what="act:chart_seen")) == {"Chart opened"}
    assert "Consent added" in lines(cast.otto, what="thing:no_such_table"), "a wrong value narrows nothing"


def test_another_clinic_is_not_on_it(cast, chart):
    cast.bob.client.get(reverse("patients"))
    names = {line.who for line in cast.ada.client.get(reverse("ledger")).context["lines"]}
    assert "Bob Beech" not in names
    assert names >= {"Alice Alder"}


def test_patient_is_found_by_name(cast, chart):
    words = {"clinic": str(cast.north.pk), "words": "winterb"}
    response = cast.otto.client.post(reverse("ledger_patients"), words)
    assert reverse("patient_history", args=[chart.patient.pk]) in response.content.decode()
    response = cast.bob.client.post(reverse("ledger_patients"), words | {"clinic": str(cast.south.pk)})
    assert "Nobody by that name" in response.content.decode()


def test_manager_who_reviews_blind_learns_nothing_from_it(cast, chart, screening):
    give(cast, screening)
    set_blind(cast, True)
    assert "Review added" in lines(cast.ada)
    with cast.in_north():
        membership = cast.ada.user.memberships.get()
        membership.roles = [Role.MANAGER, Role.REVIEWER]
        membership.save(update_fields=["roles"])
    assert "Review added" not in lines(cast.ada)


def test_its_table_tells_no_more_than_the_page(cast, chart, screening):
    give(cast, screening)
    table = cast.otto.client.get(reverse("ledger"), {"csv": "1", "what": "thing:screening_review"}).content.decode()
    assert "Review added" in table
    assert "suspicious" not in table


def verified(cast: Cast, person: Person) -> str:
    client = person.client
    client.post(reverse("ledger_verify"), {"clinic": str(cast.north.pk)}, follow=True)
    assert "verified so far" in client.get(reverse("ledger_seals")).content.decode()
    sweep_verifications()
    return client.get(reverse("ledger")).content.decode()


def test_ledger_is_verified_from_the_page(cast, chart):
    seal_ledger()
    page = verified(cast, cast.otto)
    assert re.search(r"\d+ lines are as they were sealed", page)
    assert "Otto Oak" in page
    with cast.in_north():
        assert AuditEvent.objects.filter(subject_type="audit_verification", action="insert").count() == 1


def test_second_request_waits_for_the_first(cast, chart):
    asked = {"clinic": str(cast.north.pk)}
    client = cast.ada.client
    client.post(reverse("ledger_verify"), asked)
    page = client.post(reverse("ledger_verify"), asked, follow=True).content.decode()
    assert "being verified already" in page
    with cast.in_north():
        assert Verification.objects.count() == 1


def test_unsealed_and_broken_ledgers_raise_alarms(cast, chart):
    with cast.ada.acting() as actor:
        assert not alarms(actor)
        late = alarms(actor, timezone.now() + timedelta(minutes=6))
        assert [alarm.sentence for alarm in late] == [
            "The oldest line of the ledger has waited 6 minutes to be sealed; the watch (beat) seals it."
        ]
        Verification.objects.create(
            clinic_id=cast.north.pk, asked_by="Otto", lines_in_all=1, finished_at=timezone.now(),
            fault=Fault.LINE_CHANGED, named={"event": 12},
        )  # fmt: skip
        (broken,) = alarms(actor)
        assert broken.address == reverse("ledger")
    assert "▲ Line 12 was changed." in cast.ada.client.get(reverse("ledger")).content.decode()


def alarms(actor, now=None):
    return list(asking(look(actor, RollCall({"w": "1"}, {}), now)))


def test_everything_on_it_has_words(db):
    """Tables by their triggers, acts by the calls in the code."""
    told = set(THINGS) | {table for table, _deed in DECIDED}
    of_no_clinic = {"accounts_user", "mfa_authenticator", "screening_modelversion"}
    assert tables_with_trigger() - told == of_no_clinic
    code = "".join(
        path.read_text()
        for app in ("skinclinic", "patients", "screening")
        for path in (Path(settings.BASE_DIR) / app).rglob("*.py")
        if "tests" not in path.parts
    )
    acts = set(re.findall(r'\brecord(?:_page|_seen)?\(\s*"([a-z_]+)"', code))
    assert acts - set(LOOKS) == set()
