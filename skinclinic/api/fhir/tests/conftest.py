"""A clinic in which every kind of Observation stands, and a client that reads it as FHIR."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from conftest import Cast, Chart, make_chart, make_screening
from screening.models import Screening
from screening.services.photographs import withdraw_screening
from screening.services.reviews import Opinion, shown_reading_id
from screening.services.signing import amend_review
from screening.tests.conftest import finish, fresh, give, sign
from skinclinic.api.fhir.diagnostic_report import is_void, reported_visits, signed_document
from skinclinic.api.tests.test_api import Api

SUSPECT = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")
AGAINST = Opinion(
    suspicious=False, diagnosis="nevus", recommendation="reassure", difference_reason="clinical_picture", words="Flat."
)


class Fhir(Api):
    def __init__(self, clinic: Any, scopes: tuple[str, ...] = ("fhir:read", "fhir:write", "audit:read")):
        super().__init__(clinic, scopes=list(scopes))

    def ask(self, path: str, **headers: str) -> Any:
        """path: as in a reference, or a whole address."""
        address = path if path.startswith("http") else f"/fhir/{path}"
        return self.browser.get(address, headers=self.bearer | headers)

    def read(self, path: str) -> dict[str, Any]:
        answer = self.ask(path)
        assert answer.status_code == 200, (path, answer.content)
        assert answer["Content-Type"].startswith("application/fhir+json")
        return answer.json()

    def found(self, path: str) -> list[dict[str, Any]]:
        return [entry["resource"] for entry in self.read(path).get("entry", [])]

    def ids(self, path: str) -> set[str]:
        return {each["id"] for each in self.found(path)}

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        while path:
            page = self.read(path)
            yield page
            path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")

    def send(self, path: str, body: Any, **headers: str) -> Any:
        options = {"content_type": "application/fhir+json", "headers": self.bearer | headers}
        return self.browser.post(f"/fhir/{path}", body, **options)

    def search(self, kind: str, **fields: str) -> Any:
        options = {"content_type": "application/x-www-form-urlencoded", "headers": self.bearer}
        return self.browser.post(f"/fhir/{kind}/_search", urlencode(fields), **options)


@dataclass
class Clinic:
    """Screenings by what became of them, and the patient that most of them are of."""

    cast: Cast
    chart: Chart
    screenings: dict[str, Screening] = field(default_factory=dict)

    def key(self, name: str) -> str:
        return str(self.screenings[name].pk)

    @property
    def patient(self) -> str:
        return str(self.chart.patient.pk)


@pytest.fixture
def api(cast: Cast) -> Fhir:
    return Fhir(cast.north)


@pytest.fixture
def clinic(cast: Cast, random_photograph: Any) -> Clinic:
    """One screening in each state; `agreed` and `overridden` are signed in visits of their own."""
    made = Clinic(cast, make_chart(cast.alice))

    def take(name: str, given_name: str = "", **changes: Any) -> Screening:
        chart = make_chart(cast.alice, given_name=given_name) if given_name else made.chart
        screening = made.screenings[name] = make_screening(cast.alice, chart, random_photograph())
        if changes:
            finish(cast, screening, **changes)
        return screening

    take("waiting")
    take("read", refer=True, band="high")
    take("unfit", band=None, unscorable_reasons=("blurred",), refer=False)
    signed(cast, take("agreed", "Anna", refer=True, band="high"), SUSPECT)
    signed(cast, take("overridden", "Berta", refer=True, band="high"), AGAINST)
    withdraw(cast, signed(cast, take("withdrawn", "Carla", refer=True, band="high"), SUSPECT))
    fail(cast, signed(cast, take("failed", "Dora"), SUSPECT))
    fail(cast, take("failed_open", "Emma"))
    amend(cast, signed(cast, take("amended", "Frida", refer=True, band="high"), SUSPECT))
    make_documents(cast)
    return made


def make_documents(cast: Cast) -> None:
    """As reading each report alone would; one at a time, for the sake of those who count queries."""
    with cast.in_north() as actor:
        for visit in reported_visits(actor):
            if not is_void(visit):
                signed_document(visit)


def signed(cast: Cast, screening: Screening, opinion: Opinion) -> Screening:
    give(cast, screening, opinion)
    sign(cast, screening.visit)
    return screening


def withdraw(cast: Cast, screening: Screening) -> None:
    with cast.alice.acting() as actor:
        withdraw_screening(actor=actor, screening=screening, reason="wrong_patient")


def fail(cast: Cast, screening: Screening) -> None:
    with cast.in_north():
        Screening.objects.filter(pk=screening.pk).update(
            reading_status="failed", failure_code="model_error", lease_until=None
        )


def amend(cast: Cast, screening: Screening, opinion: Opinion | None = None) -> None:
    opinion = opinion or Opinion(suspicious=True, diagnosis="melanoma_in_situ", recommendation="excise")
    before = fresh(screening)
    with cast.rita.acting() as actor:
        shown = Screening.objects.shown_to(actor).get(pk=screening.pk)
        amend_review(
            actor=actor,
            screening=before,
            submission=uuid4(),
            reading_shown=shown_reading_id(shown),
            opinion=opinion,
            amends=before.signed_review_id,
        )
