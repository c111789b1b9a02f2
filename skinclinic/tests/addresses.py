"""Every address of the URLconf, filled with the ids of a clinic in which there is one of everything."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from django.urls import URLPattern, URLResolver, get_resolver

from conftest import Cast, make_chart, make_screening
from ml.fake import load as load_fake
from screening.desk import SavedFilter
from screening.images import clean_photograph
from screening.models import FollowUp, Notice, Outcome, Signature
from screening.reader import register_version
from screening.services import versions
from screening.services.erasing import ask_erasure
from screening.services.holds import put_hold
from screening.services.incidents import open_incident
from screening.services.photographs import add_overview
from screening.services.problems import report_problem
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, fresh, give, hold, sign
from screening.tests.importing import ERNA, begin
from screening.tests.test_truth import enter
from skinclinic.accounts.invitations import invite
from skinclinic.accounts.models import Membership
from skinclinic.api.services import create_client
from skinclinic.api.webhooks.services import create_endpoint, send_test

MELANOMA = Opinion(suspicious=True, diagnosis="melanoma", recommendation="refer")


@dataclass(frozen=True)
class Address:
    """One leaf of the URLconf. route: as it is written there, with the names of its ids."""

    route: str
    name: str
    ids: tuple[str, ...]
    pattern: URLPattern

    def path(self, known: dict[str, str]) -> str:
        """Raises KeyError for an id of which the clinic has none."""
        path = "/" + self.route
        for each in self.ids:
            path = path.replace(placeholder(self.pattern, each), known[each])
        return path


def addresses(*, without: tuple[str, ...] = ()) -> list[Address]:
    """without: beginnings of those that are walked elsewhere."""
    return [each for each in walk(get_resolver()) if not each.route.startswith(without)]


def walk(resolver: URLResolver, before: str = "") -> Iterator[Address]:
    for each in resolver.url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLPattern):
            yield Address(route, each.name or "", tuple(each.pattern.converters), each)
        else:
            yield from walk(each, route)


def placeholder(pattern: URLPattern, name: str) -> str:
    kind = type(pattern.pattern.converters[name]).__name__.removesuffix("Converter").lower()
    return f"<{'str' if kind == 'string' else kind}:{name}>"


def one_of_everything(cast: Cast, photograph: bytes) -> dict[str, str]:
    """By the names that the URLconf has for them; all of clinic North."""
    chart = make_chart(cast.alice)
    screening = make_screening(cast.alice, chart, photograph)
    finish(cast, screening, refer=True, band="high")
    with cast.rita.acting() as rita:
        shown = type(screening).objects.shown_to(rita).get(pk=screening.pk)
        problem = report_problem(actor=rita, screening=shown, submission=uuid4(), kind="other", words="x")
        incident = open_incident(actor=rita, submission=uuid4(), kind="other", words="x", screening=shown)
        kept = SavedFilter.objects.create(clinic=cast.north, owner=cast.rita.user, name="Mine", query="q=")
    give(cast, screening, MELANOMA)
    sign(cast, chart.visit)
    enter(cast, chart, "melanoma", date(2026, 11, 22))
    with cast.alice.acting() as alice:
        overview = add_overview(
            actor=alice, visit=chart.visit, lesion=chart.lesion, clean=clean_photograph(BytesIO(photograph))
        )
    with cast.ada.acting() as ada:
        endpoint, _secret = create_endpoint(actor=ada, url="https://receiver.example/", event_types=["report.signed"])
        delivery = send_test(endpoint=endpoint)
        invitation = invite(actor=ada, email="new@example.org", roles=["clinician"])
    api_client, _secret = create_client(clinic=cast.north, name="Another system", scopes=["patients:read"])
    batch = begin(cast, ERNA)
    with cast.ada.acting() as ada:
        asked = ask_erasure(actor=ada, patient=chart.patient, reason="request", despite_follow_ups=True)
        legal_hold = put_hold(actor=ada, patient=chart.patient, words="x")
    with cast.in_north():
        found = {
            "follow_up_id": FollowUp.objects.get().pk,
            "outcome_id": Outcome.objects.get().pk,
            "signature_id": Signature.objects.get().pk,
            "membership_id": Membership.objects.get(user=cast.rolf.user).pk,
            "notice_id": Notice.objects.create(
                clinic=cast.north, patient=chart.patient, recipient=cast.rita.user, kind="review_signed",
                signature=Signature.objects.get(), by_mail=False,
            ).pk,
        }  # fmt: skip
    return {
        "patient_id": str(chart.patient.pk), "visit_id": str(chart.visit.pk), "lesion_id": str(chart.lesion.pk),
        "screening_id": str(screening.pk), "image_id": str(screening.image_id), "overview_id": str(overview.pk),
        "problem_id": str(problem.pk), "incident_id": str(incident.pk), "filter_id": str(kept.pk),
        "endpoint_id": str(endpoint.pk), "delivery_id": str(delivery.pk), "invitation_id": str(invitation.pk),
        "name": "reliability.png", "clinic_id": str(cast.north.pk), "token": "guessed",
        "client_id": str(api_client.client_id), "batch_id": str(batch.pk), "kind": "ai_reading",
        "version": fresh(screening).prediction.model_version_id, "person": str(cast.alice.user.pk),
        "held_id": held_by_rita(cast, photograph), **of_models(cast),
        "erasure_id": str(asked.pk), "hold_id": str(legal_hold.pk), **{name: str(key) for name, key in found.items()},
    }  # fmt: skip


def held_by_rita(cast: Cast, photograph: bytes) -> str:
    chart = make_chart(cast.alice, family_name="Autumnbottom")
    screening = make_screening(cast.alice, chart, photograph)
    finish(cast, screening, refer=False, band="low")
    give(cast, screening)
    return str(hold(cast, chart.visit).pk)


def of_models(cast: Cast) -> dict[str, str]:
    reads, another = (register_version(load_fake(Path(version)).manifest) for version in ("2026.1.1", "2026.10.1"))
    with cast.ada.acting() as ada:
        versions.begin_policy(actor=ada, version=reads)
        request = versions.ask_to_switch(actor=ada, version=another, reason="x")
        suspension = versions.suspend_readings(actor=ada, version=None, reason="x")
    return {"request_id": str(request.pk), "suspension_id": str(suspension.pk)}
