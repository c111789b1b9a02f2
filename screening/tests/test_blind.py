"""Where the clinic wants it, a reviewer learns nothing of a reading before her first opinion on the lesion."""

import re
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from conftest import Cast, Chart, Person, make_chart, make_screening
from patients.models import Visit
from patients.services import open_visit
from screening.importing import ImportBatch
from screening.models import Notice, Prediction, Review, Screening
from screening.services.errors import ReadingUnseen, ReasonMissing
from screening.services.notices import sweep_notices
from screening.services.photographs import move_screening
from screening.tests.conftest import BENIGN, finish, fresh, give, read_by_model, sign
from screening.tests.test_pages import pages
from skinclinic.accounts.models import Clinic, Membership
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.models import AuditEvent

SUSPICIOUS = replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise")
# What else the form of the clinic's settings carries.
TOLD = {
    "unreviewed_readings": "not_low", "letter_advice_en": "Call us.", "due_hours_urgent": "24", "due_hours_soon": "72",
    "due_hours_routine": "168",
}  # fmt: skip
# What is another in each answer: keys of forms, the request's number, and the time.
FLEETING = re.compile(
    r'name="(csrfmiddlewaretoken|submission)" value="[^"]*"|request [0-9a-f-]+|\d\d:\d\d(:\d\d)?|\d{4}-\d\d-\d\dT[^"<]*'
    r'|data-left="\d+"'
)


@pytest.fixture
def blind(cast: Cast) -> Cast:
    set_blind(cast, True)
    return cast


def set_blind(cast: Cast, blind: bool) -> None:
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=blind)


def is_hidden(person: Person, screening: Screening) -> bool:
    with person.acting() as actor:
        return Screening.objects.shown_to(actor).get(pk=screening.pk).is_hidden


def page(person: Person, screening: Screening) -> str:
    return person.client.get(reverse("screening", args=[screening.pk])).content.decode()


def test_it_works(blind, chart, screening):
    read_by_model(blind, screening, refer=True)
    assert "High" not in page(blind.rita, screening)
    first = give(blind, screening)
    assert (first.kind, first.reading_shown) == ("blind", None)
    assert "High score" in page(blind.rita, screening)
    visit = reverse("visit", args=[chart.visit.pk])
    assert "Sign for" not in blind.rita.client.get(visit).content.decode()
    with pytest.raises(ReadingUnseen, match="1 of 1"):
        sign(blind, chart.visit)
    with pytest.raises(ReasonMissing):
        give(blind, screening)
    kept = give(blind, screening, replace(BENIGN, difference_reason="history"))
    assert (kept.kind, kept.blind_opinion, kept.switched) == ("opinion", first, False)
    assert kept.reading_shown_id == fresh(screening).prediction_id
    assert "Sign for" in blind.rita.client.get(visit).content.decode()
    sign(blind, chart.visit)
    assert fresh(screening).signed_review_id == kept.pk


def test_a_switch_after_the_reading_is_recorded_and_told(blind, chart, screening):
    read_by_model(blind, screening, refer=True)
    first = give(blind, screening)
    second = give(blind, screening, SUSPICIOUS)
    assert second.switched
    assert second.created_at > first.created_at
    told = page(blind.alice, screening)
    assert "Changed after the reading was shown. Before: not suspicious, Melanocytic nevus, reassure." in told
    with blind.in_north():
        assert Review.objects.filter(screening=screening).count() == 2


def test_her_opinion_stays_in_the_form_beside_the_reading(blind, chart, screening):
    read_by_model(blind, screening, refer=True)
    client, address = blind.rita.client, reverse("opinion_save", args=[screening.pk])
    said = {"suspicious": "yes", "diagnosis": "melanoma", "recommendation": "excise", "words": "Since spring"}
    form = {"submission": str(uuid4()), "clinic": str(blind.north.pk), **said}
    assert client.post(address, form)["Location"] == reverse("screening", args=[screening.pk])
    initial = client.get(reverse("screening", args=[screening.pk])).context["form"].initial
    assert {name: initial[name] for name in said} == said
    assert initial["reading_shown"] == fresh(screening).prediction_id


Worlds = dict[str, Callable[[Cast, Screening], None]]


def fail(cast: Cast, screening: Screening) -> None:
    with cast.in_north():
        Screening.objects.filter(pk=screening.pk).update(reading_status="failed", failure_code="too_slow")


WORLDS: Worlds = {
    "queued": lambda cast, screening: None,
    "high": lambda cast, screening: finish(cast, screening, refer=True, band="high", malignancy=0.91),
    "low": lambda cast, screening: finish(cast, screening, refer=False, band="low", malignancy=0.02),
    "unscorable": lambda cast, screening: finish(cast, screening, band=None, unscorable_reasons=("blurred",)),
    "failed": fail,
}


def answers(person: Person, chart: Chart, screening: Screening) -> dict[str, object]:
    """Every page, every live part, and every answer to a form that is refused, as this person gets them."""
    client, found = person.client, {}
    for name, ids in pages(chart, screening, ImportBatch()).items():
        for headers in ({}, {"HX-Request": "true"}):
            response = client.get(reverse(name, args=ids), headers=headers)
            found[f"GET {name} {headers}"] = response.status_code, told_by(response.content)
    keys = {"clinic": str(person.actor.clinic_id)}
    for name, form in {
        "opinion_save": {"submission": str(uuid4()), "suspicious": "no"},
        "reading_retry": {"reason": "another_try"},
        "screening_withdraw": {"reason": "nonsense"},
    }.items():
        found[f"POST {name}"] = post(client, reverse(name, args=[screening.pk]), form | keys)
    found["POST visit_sign"] = post(client, reverse("visit_sign", args=[chart.visit.pk]), keys)
    found["POST search"] = post(client, reverse("patients"), {"words": "winter", **keys})
    found["GET map of a diagnosis"] = client.get(
        reverse("activation_map", args=[screening.pk]), {"diagnosis": "mel"}
    ).status_code
    return found


def post(client: Client, address: str, form: dict[str, str]) -> tuple[int, str]:
    response = client.post(address, form, follow=True)
    return response.status_code, told_by(response.content)


def told_by(content: bytes) -> str:
    return FLEETING.sub("", content.decode(errors="replace"))


def in_world(cast: Cast, chart: Chart, screening: Screening, world: str, person: Person) -> dict[str, object]:
    with transaction.atomic():
        WORLDS[world](cast, screening)
        found = answers(person, chart, screening)
        transaction.set_rollback(True)
    return found


@pytest.fixture
def others(cast: Cast, chart: Chart, photograph_bytes: bytes) -> list[Chart]:
    """Two more visits in the worklist: an older and a newer one than the screening's would lie in its order."""
    charts = [make_chart(cast.alice, given_name=f"Other{number}") for number in range(2)]
    for each in charts:
        make_screening(cast.alice, each, photograph_bytes)
    return charts


def test_no_answer_to_a_blind_reviewer_depends_on_the_reading(blind, chart, screening, others):
    found = {world: in_world(blind, chart, screening, world, blind.rita) for world in WORLDS}
    counted = {name for name in found["queued"] if name.startswith("GET models")}
    for world, answers_there in found.items():
        for name in answers_there.keys() - counted:
            assert answers_there[name] == found["queued"][name], (world, name)
    for name in counted:  # how many readings there are, whatever they say
        assert found["high"][name] == found["low"][name]


def test_answers_that_are_not_blind_do_depend_on_it(cast, chart, screening, others):
    """What the test above compares can tell the readings apart."""
    unread = in_world(cast, chart, screening, "queued", cast.rita)
    read = in_world(cast, chart, screening, "high", cast.rita)
    differing = {name.split()[1] for name in unread if unread[name] != read[name]}
    assert {
        "visit", "visit_live", "worklist", "screening", "screening_live", "screening_history", "patient_history",
        "patient_chart", "opinion_save", "map",
    } <= differing  # fmt: skip


def test_what_another_reviewer_said_is_hidden_with_the_reading(blind, chart, screening):
    read_by_model(blind, screening, refer=True)
    give(blind, screening, by=blind.rolf)
    give(blind, screening, replace(BENIGN, difference_reason="artefact"), by=blind.rolf)
    shown = page(blind.rita, screening)
    history = blind.rita.client.get(reverse("screening_history", args=[screening.pk])).content.decode()
    for answer in (shown, history):
        assert "misled the reading" not in answer
        assert "artefact" not in answer
    assert "misled the reading" in page(blind.alice, screening)
    visit = reverse("visit", args=[chart.visit.pk])
    for person, told in ((blind.rita, False), (blind.alice, True)):
        assert ("Opinion given" in person.client.get(visit).content.decode()) is told


@pytest.mark.parametrize(("who", "hidden"), [("alice", False), ("ada", False), ("otto", False), ("rita", True)])
def test_only_reviewers_are_blind(blind, chart, screening, who, hidden):
    read_by_model(blind, screening, refer=True)
    person = getattr(blind, who)
    assert is_hidden(person, screening) is hidden
    assert ("High score" in page(person, screening)) is not hidden


def test_a_clinician_who_reviews_as_well_is_blind_to_her_own_photograph(blind, chart, screening):
    with blind.in_north():
        Membership.objects.filter(user=blind.alice.user).update(roles=["clinician", "reviewer"])
    read_by_model(blind, screening, refer=True)
    assert "High" not in blind.alice.client.get(reverse("today")).content.decode()
    assert "High score" not in page(blind.alice, screening)


def test_a_clinic_that_does_not_ask_for_it_hides_nothing(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    assert not is_hidden(cast.rita, screening)
    assert give(cast, screening, replace(SUSPICIOUS)).kind == "opinion"


def test_one_opinion_shows_every_photograph_of_the_lesion_in_the_visit(blind, chart, screening, random_photograph):
    second = make_screening(blind.alice, chart, random_photograph())
    give(blind, screening)
    assert not is_hidden(blind.rita, second)
    assert is_hidden(blind.rolf, second), "another reviewer has said nothing yet"


def test_a_new_photograph_of_a_lesion_that_she_judged_is_blind_to_her(
    blind, chart, screening, random_photograph, others
):
    """Added to the signed visit: no page, live part, list or form tells her of it before she has judged it."""
    read_by_model(blind, screening, refer=False)
    give(blind, screening)
    give(blind, screening)
    sign(blind, chart.visit)
    new = make_screening(blind.alice, chart, random_photograph())
    assert (is_hidden(blind.rita, screening), is_hidden(blind.rita, new)) == (False, True)
    found = {world: in_world(blind, chart, new, world, blind.rita) for world in WORLDS}
    for name in found["queued"]:
        # How many readings there are of a model is told, whatever they say.
        compared = ("high", "low") if name.startswith("GET models") else WORLDS
        assert len({str(found[world][name]) for world in compared}) == 1, name
    read_by_model(blind, new, refer=True)
    assert give(blind, new).kind == "blind"
    assert not is_hidden(blind.rita, new)


def test_what_she_says_of_another_photograph_with_its_reading_shown_covers_no_new_one(
    blind, chart, screening, random_photograph
):
    read_by_model(blind, screening, refer=False)
    give(blind, screening)
    new = make_screening(blind.alice, chart, random_photograph())
    read_by_model(blind, new, refer=True)
    assert is_hidden(blind.rita, new), "it came after her blind opinion"
    assert give(blind, screening).kind == "opinion"
    assert is_hidden(blind.rita, new), "she kept that opinion beside the reading, and has not looked at the new one"
    assert give(blind, new).kind == "blind"
    assert not is_hidden(blind.rita, new)


def test_a_new_high_reading_is_not_told_to_who_is_blind_to_it(blind, chart, screening, random_photograph):
    give(blind, screening)
    new = make_screening(blind.alice, chart, random_photograph())
    finish(blind, new, refer=True, band="high", malignancy=0.91)
    sweep_notices()
    with blind.in_north():
        told = Notice.objects.filter(screening=new).values_list("recipient__email", flat=True)
        assert list(told) == ["alice@example.org"]


def test_a_new_photograph_hides_older_readings_of_the_lesion_that_she_has_not_seen(
    blind, chart, screening, random_photograph
):
    read_by_model(blind, screening, refer=True)
    give(blind, screening, by=blind.rolf)
    give(blind, screening, SUSPICIOUS, by=blind.rolf)
    sign(blind, chart.visit, by=blind.rolf)
    assert not is_hidden(blind.rita, screening), "nothing of the lesion is to be read"
    with blind.alice.acting() as alice:
        later = open_visit(actor=alice, patient=chart.patient, question="Again", history=[])
    newer = make_screening(blind.alice, replace(chart, visit=later), random_photograph())
    assert (is_hidden(blind.rita, screening), is_hidden(blind.rita, newer)) == (True, True)
    assert (is_hidden(blind.rolf, screening), is_hidden(blind.rolf, newer)) == (False, True)
    give(blind, newer)
    assert (is_hidden(blind.rita, screening), is_hidden(blind.rita, newer)) == (False, False)


def test_a_photograph_that_was_moved_does_not_tell_where_it_came_from(blind, chart, screening):
    read_by_model(blind, screening, refer=True)
    right = make_chart(blind.alice, given_name="Right")
    with blind.alice.acting() as alice:
        move_screening(
            actor=alice, screening=screening, visit=right.visit, lesion=right.lesion, reason="wrong_patient", words=""
        )
    assert is_hidden(blind.rita, screening)
    assert not is_hidden(blind.alice, screening)


def test_the_worklist_orders_what_she_has_judged_by_its_reading(blind, chart, screening, others):
    from screening.querysets import ALARMING, INTERMEDIATE, visits_to_review

    read_by_model(blind, screening, refer=True)

    def ranks() -> dict[object, int]:
        with blind.rita.acting() as rita:
            return dict(visits_to_review(Visit.objects.visible_to(rita), rita).values_list("pk", "rank"))

    assert set(ranks().values()) == {INTERMEDIATE}
    give(blind, screening)
    assert ranks()[chart.visit.pk] == ALARMING


def test_a_photograph_without_a_reading_is_signed_on_the_first_opinion(blind, chart, screening):
    fail(blind, screening)
    first = give(blind, screening)
    sign(blind, chart.visit)
    assert (first.kind, fresh(screening).signed_review_id) == ("blind", first.pk)


def test_the_form_that_names_a_hidden_reading_is_refused(blind, chart, screening):
    from screening.services import reviews

    read_by_model(blind, screening, refer=True)
    shown = fresh(screening).prediction_id
    with pytest.raises(ReadingUnseen), blind.rita.acting() as rita:
        reviews.save_opinion(actor=rita, screening=screening, submission=uuid4(), reading_shown=shown, opinion=BENIGN)


def test_the_database_refuses_a_blind_opinion_beside_a_reading(blind, chart, screening):
    read_by_model(blind, screening, refer=True)
    with pytest.raises(IntegrityError, match="review_blind_saw_nothing"), blind.rita.acting() as rita:
        Review.objects.create(
            clinic_id=blind.north.pk, patient=chart.patient, screening=screening, reviewer_id=rita.user_id,
            kind="blind", submission=uuid4(), suspicious=False, diagnosis="nevus", recommendation="reassure",
            reading_shown=Prediction.objects.get(),
        )  # fmt: skip


def test_the_database_refuses_another_reviewers_blind_opinion(blind, chart, screening):
    first = give(blind, screening)
    with pytest.raises(IntegrityError, match="review_blind_opinion_is_hers"), blind.rolf.acting() as rolf:
        Review.objects.create(
            clinic_id=blind.north.pk, patient=chart.patient, screening=screening, reviewer_id=rolf.user_id,
            submission=uuid4(), suspicious=False, diagnosis="nevus", recommendation="reassure", blind_opinion=first,
        )  # fmt: skip


def test_a_manager_decides_for_her_own_clinic_alone(cast):
    client, address = cast.bob.client, reverse("clinic_settings")
    form = {"blind_first_reading": "on", "second_reading_percent": "0"} | TOLD
    assert client.post(address, form | {"clinic": str(cast.north.pk)}).status_code == 409
    assert client.post(address, form | {"clinic": str(cast.south.pk)}).status_code == 302
    asks = dict(Clinic.objects.values_list("name", "blind_first_reading"))
    assert asks == {"North": False, "South": True}


def test_a_manager_turns_it_on_and_off_and_the_ledger_says_so(cast, chart):
    client, address = cast.ada.client, reverse("clinic_settings")
    form = {"clinic": str(cast.north.pk), "second_reading_percent": "0"} | TOLD
    client.post(address, form | {"blind_first_reading": "on"})
    assert Clinic.objects.get(pk=cast.north.pk).blind_first_reading
    assert "checked" in client.get(address).content.decode()
    client.post(address, form)
    assert not Clinic.objects.get(pk=cast.north.pk).blind_first_reading
    with cast.in_north():
        changes = [
            event.changes for event in AuditEvent.objects.filter(subject_type="accounts_clinic", action="update")
        ]
    assert {"blind_first_reading": [True, False]} in changes
    assert cast.rita.client.post(address, form | {"blind_first_reading": "on"}).status_code == 403
