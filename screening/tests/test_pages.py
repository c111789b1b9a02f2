"""Every page: drawn for whom it is meant, closed to others, and free of inline code."""

import re
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from conftest import Cast, Chart
from ml.contract import UNSCORABLE_REASONS
from screening.importing import ImportBatch
from screening.models import Screening
from screening.presentation import shown_score
from screening.tests.conftest import finish, give, read_by_model, sign
from screening.tests.importing import ERNA, JOSEF, begin
from skinclinic.accounts.models import Membership
from skinclinic.audit.models import AuditEvent

LINK = re.compile(r'<a [^>]*?href="(/[^"#?]*)')
# The transaction's own, and who acts in it.
WITHOUT_ROWS = re.compile("SAVEPOINT|RELEASE|SELECT set_config")
INLINE = re.compile(rb"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:")


def pages(chart: Chart, screening: Screening, batch: ImportBatch) -> dict[str, list[uuid.UUID]]:
    """Every page by its URL's name, with the ids that lead to it."""
    patient, visit = [chart.patient.pk], [chart.visit.pk]
    return {
        "today": [],
        "patients": [],
        "imports": [],
        "import_batch": [batch.pk],
        "import_live": [batch.pk],
        "patient_new": [],
        "patient_chart": patient,
        "patient_correct": patient,
        "patient_history": patient,
        "patient_merge": patient,
        "consent_withdraw": [*patient, "ai_reading"],
        "compare": patient,
        "lesion_new": patient,
        "lesion": [chart.lesion.pk],
        "visit_new": patient,
        "visit": visit,
        "visit_live": visit,
        "worklist": [],
        "dashboard": [],
        "alarms": [],
        "overdue": [],
        "unread": [],
        "agreement": [],
        "truth": [],
        "drift": [],
        "beside": [],
        "incidents": [],
        "clients": [],
        "webhooks": [],
        "identity_provider": [],
        "exports": [],
        "incident_new": [],
        "ledger": [],
        "ledger_seals": [],
        "notices": [],
        "bell": [],
        "people": [],
        "openings": [],
        "models": [],
        "problems": [],
        "clinic_settings": [],
        "screening": [screening.pk],
        "screening_live": [screening.pk],
        "screening_history": [screening.pk],
        "screening_withdraw": [screening.pk],
        "screening_move": [screening.pk, chart.patient.pk],
        "photograph": [screening.image_id],
        "thumbnail": [screening.image_id],
    }


@pytest.fixture
def batch(cast: Cast) -> ImportBatch:
    return begin(cast, ERNA, JOSEF)


# Who may open what, besides those that every member may.
ONLY = {
    "patient_new": {"alice", "rita", "ada"},
    "patient_correct": {"alice", "rita", "ada"},
    "patient_merge": {"alice", "ada"},
    "consent_withdraw": {"alice", "rita", "ada"},
    "lesion_new": {"alice", "rita"},
    "visit_new": {"alice"},
    "imports": {"alice"},
    "import_batch": {"alice"},
    "import_live": {"alice"},
    "worklist": {"rita", "ada", "otto"},
    "dashboard": {"ada", "otto"},
    "alarms": {"ada", "otto"},
    "overdue": {"ada", "otto"},
    "unread": {"ada", "otto"},
    "agreement": {"rita", "ada", "otto"},
    "truth": {"ada", "otto"},
    "drift": {"ada", "otto"},
    "beside": {"ada", "otto"},
    "incident_new": {"alice", "rita", "ada"},
    "exports": {"ada", "otto"},
    "clients": {"ada", "otto"},
    "webhooks": {"ada", "otto"},
    "identity_provider": {"ada", "otto"},
    "ledger": {"ada", "otto"},
    "ledger_seals": {"ada", "otto"},
    "people": {"ada", "otto"},
    "openings": {"ada", "otto"},
    "models": {"rita", "ada", "otto"},
    "problems": {"ada", "otto"},
    "clinic_settings": {"ada"},
    "screening_withdraw": {"alice", "rita"},
    "screening_move": {"alice", "rita"},
}


@pytest.mark.parametrize("who", ["alice", "rita", "ada", "otto"])
def test_pages_open_for_their_roles_only(cast: Cast, chart, screening, who, batch):
    client = getattr(cast, who).client
    for name, ids in pages(chart, screening, batch).items():
        response = client.get(reverse(name, args=ids))
        wanted = 200 if who in ONLY.get(name, {who}) else 403
        assert response.status_code == wanted, name
        assert not INLINE.search(response.content) or "image" in response["Content-Type"], (name, response.content)


# Fetched by a script, or led to by what somebody types.
WITHOUT_LINK = {
    "visit_live", "screening_live", "import_live", "bell", "ledger_seals", "photograph", "thumbnail", "screening_move",
    "compare",
}  # fmt: skip


def walk(client: Client) -> set[str]:
    """The names of the pages that links lead to from the first one; one address of each is opened."""
    reached: set[str] = set()
    addresses = ["/"]
    while addresses:
        address = addresses.pop()
        name = resolve(address).url_name or ""
        if name in reached:
            continue
        reached.add(name)
        addresses += LINK.findall(client.get(address, follow=True).content.decode(errors="replace"))
    return reached


def test_links_lead_to_every_page(cast, chart, screening, batch):
    reached = set().union(*(walk(person.client) for person in (cast.alice, cast.rita, cast.ada)))
    assert set(pages(chart, screening, batch)) - WITHOUT_LINK <= reached


def test_no_page_gives_two_things_one_id(cast, chart, screening, batch):
    """Or a label would lead to another form's field."""
    for person in (cast.alice, cast.rita, cast.ada):
        for name, ids in pages(chart, screening, batch).items():
            content = person.client.get(reverse(name, args=ids)).content.decode(errors="replace")
            named = re.findall(r' id="([^"]+)"', content)
            assert len(named) == len(set(named)), (name, [one for one in named if named.count(one) > 1])


def test_stranger_finds_nothing(cast, chart, screening, batch):
    client = cast.bob.client
    for name, ids in pages(chart, screening, batch).items():
        if ids:
            assert client.get(reverse(name, args=ids)).status_code == 404, name


def test_list_shows_own_patients_and_hides_others(cast, chart):
    visible = cast.alice.client.get(reverse("patients")).content.decode()
    hidden = cast.bob.client.get(reverse("patients")).content.decode()
    assert (str(chart.patient.pk) in visible, str(chart.patient.pk) in hidden) == (True, False)


@pytest.mark.parametrize("words", ["30 Apr 1961", "30.4.1961", "1961-04-30", "erna 1961-04-30", "winter"])
def test_search_finds_by_name_and_by_birth_date_as_shown(cast, chart, words):
    found = cast.alice.client.post(reverse("patients"), {"words": words, "clinic": str(cast.north.pk)})
    assert str(chart.patient.pk) in found.content.decode()


@pytest.mark.parametrize("words", ["x" * 101, "e\0rna", "1 Apr 1961"])
def test_search_for_nobody_lists_nobody(cast, chart, words):
    found = cast.alice.client.post(reverse("patients"), {"words": words, "clinic": str(cast.north.pk)})
    assert str(chart.patient.pk) not in found.content.decode()


def test_anonymous_is_sent_to_sign_in(cast, chart, screening, batch):
    for name, ids in pages(chart, screening, batch).items():
        response = Client().get(reverse(name, args=ids))
        assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/accounts/login/"), name


@pytest.mark.parametrize(("refer", "headline"), [(True, "High score"), (False, "Low score")])
def test_result_says_what_was_read(cast, chart, screening, refer, headline):
    read_by_model(cast, screening, refer=refer)
    content = cast.ada.client.get(reverse("screening", args=[screening.pk])).content.decode()
    assert headline in content
    assert "never a diagnosis by itself" in content
    assert content.count("<meter") == 7
    assert reverse("screening_live", args=[screening.pk]) not in content, "what is read is not asked for any more"


def test_waiting_result_asks_again_and_is_not_on_the_ledger(cast, chart, screening):
    client = cast.alice.client
    with cast.in_north():
        before = AuditEvent.objects.count()
    assert b"every 2s" in client.get(reverse("screening_live", args=[screening.pk])).content
    with cast.in_north():
        assert AuditEvent.objects.count() == before


def test_map_is_drawn_for_each_diagnosis(cast, chart, screening):
    url = reverse("activation_map", args=[screening.pk])
    assert cast.alice.client.get(url).status_code == 404, "there is no reading yet"
    read_by_model(cast, screening, refer=True)
    drawn = {cast.alice.client.get(url, query).content for query in ({}, {"diagnosis": "mel"}, {"diagnosis": "nv"})}
    assert len(drawn) == 3
    assert cast.alice.client.get(url, {"diagnosis": "unknown"}).status_code == 404


def test_photograph_is_served_in_a_sandbox_and_the_look_is_recorded(cast, chart, screening):
    response = cast.alice.client.get(reverse("photograph", args=[screening.image_id]))
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["X-Content-Type-Options"] == "nosniff"
    with cast.in_north():
        seen = AuditEvent.objects.get(action="photograph_seen")
    assert (seen.actor, seen.subject_id) == (str(cast.alice.user.pk), str(screening.image_id))


@pytest.mark.parametrize(("who", "status"), [("bob", 404), ("otto", 403)])
def test_refusals_are_on_the_ledger(cast, chart, screening, who, status):
    person = getattr(cast, who)
    name = "screening" if status == 404 else "screening_withdraw"
    assert person.client.get(reverse(name, args=[screening.pk])).status_code == status
    with person.acting():
        event = AuditEvent.objects.get(action="refused")
    assert (event.actor, event.changes["status"], event.changes["ids"]) == (
        str(person.user.pk), status, [str(screening.pk)]
    )  # fmt: skip


def test_history_tells_every_step_with_who_and_when(cast, chart, screening):
    read_by_model(cast, screening, refer=False)
    give(cast, screening)
    sign(cast, chart.visit)
    content = cast.otto.client.get(reverse("screening_history", args=[screening.pk])).content.decode()
    for step in (
        "Photograph added",
        "Reading: being read",
        "Reading: read",
        "Review: signed",
        "Rita Rowan",
        "Alice Alder",
    ):
        assert step in content, step


def test_likely_duplicate_is_warned_of_and_can_be_confirmed(cast, chart):
    form = {
        "family_name": "Winterbotom", "given_name": "Erna", "birth_date": "1961-04-30", "sex": "female",
        "clinic": str(cast.north.pk),
    }  # fmt: skip
    warned = cast.alice.client.post(reverse("patient_new"), form)
    assert warned.status_code == 200
    assert str(chart.patient.pk) in warned.content.decode()
    assert cast.alice.client.post(reverse("patient_new"), form | {"confirmed": "1"}).status_code == 302


def test_worklist_puts_the_most_pressing_first(cast, photograph_bytes):
    from conftest import make_chart, make_screening
    from patients.models import Visit
    from screening.querysets import visits_to_review

    charts = [make_chart(cast.alice, given_name=f"Erna{number}") for number in range(6)]
    shots = [make_screening(cast.alice, each, photograph_bytes) for each in charts]
    read_by_model(cast, shots[0], refer=False)
    read_by_model(cast, shots[2], refer=True)
    with cast.in_north():
        Visit.objects.filter(pk=charts[3].visit.pk).update(urgency="urgent")
        Visit.objects.filter(pk=charts[4].visit.pk).update(due_at="2020-01-01T00:00Z")
        Screening.objects.filter(pk=shots[5].pk).update(reading_status="failed", failure_code="too_slow")
        order = [visit.pk for visit in visits_to_review(Visit.objects.visible_to(cast.rita.actor), cast.rita.actor)]
    # overdue, urgent, high, failed (later than high), not read yet, low
    assert order == [charts[number].visit.pk for number in (4, 3, 2, 5, 1, 0)]


@pytest.mark.parametrize("name", ["worklist", "patients", "today"])
def test_lists_take_few_queries_however_long(cast, photograph_bytes, django_assert_max_num_queries, name):
    """Fourteen (one is the bell's), and three of the test's own: a savepoint, its release, the settings put back."""
    from conftest import make_chart, make_screening

    for number in range(8):
        chart = make_chart(cast.alice, given_name=f"Erna{number}")
        make_screening(cast.alice, chart, photograph_bytes)
    client = (cast.rita if name == "worklist" else cast.alice).client
    client.get(reverse(name))
    with django_assert_max_num_queries(14 + 3):
        assert client.get(reverse(name)).content.decode().count("Winterbottom") >= 8


@pytest.mark.parametrize("who", ["alice", "rita", "ada"])
def test_each_page_asks_for_rows_at_most_fifteen_times(cast, chart, screening, batch, who):
    client = getattr(cast, who).client
    client.get(reverse("notices"))  # once in a while a session notes the time
    asked = {}
    for name, ids in pages(chart, screening, batch).items():
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse(name, args=ids))
        asked[name] = sum(not WITHOUT_ROWS.match(query["sql"]) for query in captured.captured_queries)
    assert {name: times for name, times in asked.items() if times > 15} == {}


def test_empty_lists_say_what_next(cast):
    assert "Nothing waits for review" in cast.rita.client.get(reverse("worklist")).content.decode()
    assert "Register the first patient" in cast.alice.client.get(reverse("patients")).content.decode()
    assert "Find a patient" in cast.alice.client.get(reverse("today")).content.decode()


def test_long_history_has_pages(cast, chart, screening, monkeypatch):
    client, address = cast.otto.client, reverse("screening_history", args=[screening.pk])
    give(cast, screening)
    sign(cast, chart.visit)
    whole = [(line.at, line.what) for line in client.get(address).context["lines"]]
    monkeypatch.setattr("screening.views.history.PAGE", 2)
    paged, page = [], client.get(address)
    while older := page.context["older"]:
        paged += [(line.at, line.what) for line in page.context["lines"]]
        page = client.get(address, {"before": older})
    paged += [(line.at, line.what) for line in page.context["lines"]]
    looks = [step for step in paged if step not in whole]
    assert {what for _, what in looks} == {"History opened"}
    assert [step for step in paged if step not in looks] == whole
    assert "Nothing is older" in client.get(address, {"before": 1}).content.decode()
    assert client.get(address, {"before": "nonsense"}).context["is_first"]


def test_result_says_who_has_taken_the_visit(cast, chart, screening):
    give(cast, screening, by=cast.rolf)
    address = reverse("screening", args=[screening.pk])
    assert "Rolf Rush has taken this visit" in cast.rita.client.get(address).content.decode()
    assert "has taken this visit" not in cast.rolf.client.get(address).content.decode()


def test_clinician_who_is_also_manager_may_withdraw(cast, chart, screening):
    with cast.in_north():
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "clinician"])
    withdraw = reverse("screening_withdraw", args=[screening.pk])
    page = cast.ada.client.get(reverse("screening", args=[screening.pk]))
    assert withdraw in page.content.decode()
    assert withdraw not in cast.otto.client.get(reverse("screening", args=[screening.pk])).content.decode()


@pytest.mark.parametrize(
    ("malignancy", "shown"),
    [(0.0, "below 0.01"), (0.004, "below 0.01"), (0.005, "0.01"), (0.994, "0.99"), (0.9951, "above 0.99")],
)
def test_score_is_never_shown_as_none_or_all(malignancy, shown):
    assert shown_score(malignancy) == shown


def test_today_asks_for_unfit_photographs_again(cast, chart, screening):
    address = reverse("today")
    assert "Photographs to take again" not in cast.alice.client.get(address).content.decode()
    finish(cast, screening, unscorable_reasons=("blurred",), band=None)
    shown = cast.alice.client.get(address).content.decode()
    assert "Photographs to take again" in shown
    assert UNSCORABLE_REASONS["blurred"] in shown
    give(cast, screening)
    sign(cast, chart.visit)
    assert "Photographs to take again" not in cast.alice.client.get(address).content.decode()


def test_the_address_of_a_refused_opinion_leads_back_to_its_page(cast, chart, screening):
    answer = cast.rita.client.get(reverse("opinion_save", args=[screening.pk]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("screening", args=[screening.pk]))
    assert cast.bob.client.get(answer["Location"]).status_code == 404


def test_the_worklist_says_how_many_photographs_it_does_not_show(cast, chart, random_photograph):
    from conftest import make_screening

    for count, said in ((3, False), (5, True)):
        while len(shots_of(cast, chart)) < count:
            make_screening(cast.alice, chart, random_photograph())
        page = cast.rita.client.get(reverse("worklist")).content.decode()
        assert ("and 2 more" in page) is said
        assert page.count('class="thumb"') == 3


def shots_of(cast, chart) -> list[Screening]:
    with cast.in_north():
        return list(Screening.objects.filter(visit=chart.visit))
