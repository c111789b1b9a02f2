"""Every page is open to everyone: axe finds no violation of WCAG 2.2 AA, on a desk and a phone, in light and dark."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from conftest import Cast, Person, make_chart, make_screening
from e2e.steps import sign_in
from patients.restricted import open_chart, restrict
from patients.services import open_visit
from screening.codes import Panel
from screening.dashboard import agreement, beside, drift, truth
from screening.models import CountedPanel, ReadingProblem
from screening.services.notices import sweep_notices
from screening.services.problems import report_problem
from screening.tests import test_agreement, test_beside, test_drift, test_truth
from screening.tests.conftest import finish, give, rows, sign
from skinclinic.accounts.invitations import invite
from skinclinic.accounts.models import Membership
from skinclinic.api.webhooks.services import create_endpoint, send_test

pytestmark = pytest.mark.browser
AXE = Path(settings.NODE_MODULES) / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Only colours change with the light.
IN_ANOTHER_LIGHT = ["color-contrast"]
NEVUS = {"akiec": 0.01, "bcc": 0.01, "bkl": 0.05, "df": 0.01, "mel": 0.03, "nv": 0.88, "vasc": 0.01}


@pytest.fixture
def clinic(real_cast: Cast, random_photograph: Callable[[], bytes]) -> dict[str, object]:
    """A patient with something in every state, and the keys that its pages are called by."""
    chart = make_chart(real_cast.alice)
    signed, open_one, unfit, waiting = (make_screening(real_cast.alice, chart, random_photograph()) for _ in range(4))
    finish(real_cast, signed, refer=False, band="low", probabilities=NEVUS)
    finish(real_cast, unfit, unscorable_reasons=("blurred",), band=None)
    for shot in (signed, open_one, unfit, waiting):
        give(real_cast, shot)
    sign(real_cast, chart.visit)
    with real_cast.alice.acting() as alice:
        later = open_visit(actor=alice, patient=chart.patient, question="Growing?", history=[])
    again = make_screening(real_cast.alice, type(chart)(chart.patient, later, chart.lesion), random_photograph())
    finish(real_cast, again, refer=True, band="high")
    with real_cast.rita.acting() as rita:
        shown = type(again).objects.shown_to(rita).get(pk=again.pk)
        report_problem(actor=rita, screening=shown, submission=again.pk, kind="score", words="")
    restricted = make_chart(real_cast.alice, family_name="Autumnbottom")
    with real_cast.ada.acting() as ada:
        restrict(actor=ada, patient=restricted.patient, restricted=True)
    with real_cast.rita.acting() as rita:
        open_chart(actor=rita, patient=restricted.patient, reason="in my surgery")
    with real_cast.ada.acting() as ada:
        invite(actor=ada, email="nora@example.org", roles=["reviewer"])
        member = Membership.objects.get(user=real_cast.rita.user)
        told, _secret = create_endpoint(actor=ada, url="https://receiver.example/", event_types=["report.signed"])
        send_test(endpoint=told)
    sweep_notices()
    count_something(real_cast)
    return {
        "patient_id": chart.patient.pk,
        "visit_id": chart.visit.pk,
        "later": later.pk,
        "lesion_id": chart.lesion.pk,
        "screening_id": signed.pk,
        "again": again.pk,
        "member": member.pk,
        "restricted": restricted.patient.pk,
        "webhook": told.pk,
    }


def count_something(cast: Cast) -> None:
    """Figures as a clinic of some years has them, so that each panel shows what it can show."""
    drifted = drift.figures(test_drift.clinic(0, 0.3, 0.3), test_drift.NOW, "1", [(0.1, "nv"), (0.9, "mel")])
    found = {
        Panel.AGREEMENT: agreement.agreement(test_agreement.history(1), test_agreement.NOW),
        Panel.TRUTH: {"all": truth.worth(truth.lesions(*test_truth.history(1)))},
        Panel.DRIFT: drifted,
        Panel.BESIDE: beside.side_by_side(test_beside.history(1)),
    }
    with cast.in_north():
        for panel, figures in found.items():
            CountedPanel.objects.create(
                clinic=cast.north, panel=panel, figures=figures, counted_at=timezone.now(), seconds=1, last_event=0
            )


def pages_of(person: str, keys: dict[str, object]) -> Iterator[str]:
    patient, visit, lesion = keys["patient_id"], keys["visit_id"], keys["lesion_id"]
    common = [
        reverse("today"),
        reverse("notices"),
        reverse("patients"),
        reverse("patient_chart", args=[patient]),
        reverse("patient_history", args=[patient]),
        reverse("compare", args=[patient]),
        reverse("lesion", args=[lesion]),
        reverse("visit", args=[visit]),
        reverse("visit", args=[keys["later"]]),
        reverse("visit_report", args=[visit]),
        reverse("visit_letter", args=[visit]),
        reverse("screening", args=[keys["screening_id"]]),
        reverse("screening", args=[keys["again"]]),
        reverse("screening_history", args=[keys["screening_id"]]),
    ]
    own = {
        "alice": [
            reverse("patient_new"),
            reverse("imports"),
            reverse("visit_new", args=[patient]),
            reverse("lesion_new", args=[patient]),
            reverse("screening_withdraw", args=[keys["again"]]),
        ],
        "rita": [reverse("agreement"), reverse("worklist"), reverse("worklist") + "?reading=low", reverse("models")],
        "ada": [
            reverse("dashboard"),
            *(
                reverse(name)
                for name in (
                    "alarms",
                    "unread",
                    "overdue",
                    "agreement",
                    "truth",
                    "drift",
                    "beside",
                    "ledger",
                    "clients",
                    "webhooks",
                    "exports",
                    "incidents",
                    "incident_new",
                )
            ),
            *(reverse(name) for name in ("people", "openings", "mfa_index", "mfa_activate_totp", "mfa_add_webauthn")),
            reverse("member", args=[keys["member"]]),
            reverse("webhook", args=[keys["webhook"]]),
            reverse("usersessions_list"),
            reverse("chart_open", args=[keys["restricted"]]),
            reverse("look_back", args=["0.0.0-fake"]),
            reverse("worklist"),
            reverse("clinic_settings"),
            reverse("clinic_history"),
            reverse("models"),
            reverse("problems"),
        ],
    }
    yield from (common if person == "alice" else []) + own[person]


def violations(page: Page, rules: Sequence[str] = RULES) -> list[str]:
    page.evaluate("source => window.axe || (0, eval)(source)", AXE.read_text())
    found = page.evaluate("rules => axe.run({runOnly: rules})", rules)["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("name", ["alice", "rita", "ada"])
def test_no_page_has_a_barrier(real_cast: Cast, clinic: dict[str, object], open_page: Callable[..., Page], name: str):
    person: Person = getattr(real_cast, name)
    assert rows(real_cast, ReadingProblem)
    barriers = {}
    for phone in (False, True):
        page = sign_in(open_page(phone=phone), person)
        for address in pages_of(name, clinic):
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            page.goto(address)
            found = violations(page)
            page.emulate_media(color_scheme="dark", reduced_motion="reduce")
            if found := found + violations(page, IN_ANOTHER_LIGHT):
                barriers[f"{address} {'phone' if phone else 'desk'}"] = found
    assert not barriers, "\n".join(f"{where}\n  " + "\n  ".join(found) for where, found in barriers.items())


def test_the_sign_in_page_has_no_barrier(real_cast: Cast, open_page: Callable[..., Page]):
    for phone in (False, True):
        page = open_page(phone=phone)
        for address in ("/", "/accounts/password/reset/", "/nowhere/"):
            page.goto(address)
            assert violations(page) == []
