"""Observation: what the model read in a photograph, and what the doctor signed of it. One screening may have both.

| reading | review | the model's Observation | the doctor's |
|---|---|---|---|
| waits, runs, or failed and may be read again | | none | |
| read | not signed | preliminary | none |
| read | signed, with the reading shown, and agrees | final | final |
| read | one signed review differs, or saw none | preliminary; where it differs with a note | final |
| not fit to be read | | cancelled, not-performed | |
| failed, or the patient does not want it | signed | cancelled: error, or not-performed | final |
| | amended | as it was, unless the amendment differs | amended |
| withdrawn | | entered-in-error, without a value | entered-in-error |
"""

from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Case, CharField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.fields import BooleanField
from django.db.models.functions import Coalesce

from patients.erased import refuse_erased
from screening.models import Review, Screening
from screening.status import REVIEW_IS_SIGNED, ReadingStatus, ReviewStatus
from skinclinic.api.fhir import codes
from skinclinic.api.fhir.elements import Dict
from skinclinic.api.fhir.reading import reading_observation
from skinclinic.api.fhir.resource import Resource, latest
from skinclinic.api.fhir.review import review_observation
from skinclinic.api.fhir.searching import Asked, Search, as_uuid, by_date, by_reference, is_meant
from skinclinic.audit.acting import Actor

READING, REVIEW = "reading", "review"
# In the order in which a screening's Observations are listed: the doctor's first.
KINDS = {REVIEW: review_observation, READING: reading_observation}
CODES = {REVIEW: codes.REVIEW, READING: codes.READING}
STATUS = "http://hl7.org/fhir/observation-status"
STATUSES = ("preliminary", "final", "amended", "cancelled", "entered-in-error")
SIGNED = Q(review_status__in=sorted(REVIEW_IS_SIGNED))
UNREAD = Q(reading_status__in=[ReadingStatus.FAILED, ReadingStatus.NOT_WANTED])
PUBLISHED = Q(reading_status__in=[ReadingStatus.PREDICTED, ReadingStatus.UNSCORABLE]) | UNREAD & SIGNED


def is_overridden() -> Exists:
    """A review of the screening that is signed, or was until it was amended, differs from the reading it was shown."""
    says_something = Q(reading_shown__refer=True) | Q(reading_shown__cautions=[])
    differing = says_something & ~Q(reading_shown__refer=F("suspicious"))
    signed = Q(signed_for__isnull=False) | Q(superseded_by__isnull=False)
    return Exists(Review.objects.filter(signed & differing, screening=OuterRef("pk"), reading_shown__isnull=False))


def status_of_reading() -> Case:
    return status_case(
        When(~PUBLISHED, then=Value("")),
        When(withdrawn_at__isnull=False, then=Value("entered-in-error")),
        When(~Q(reading_status=ReadingStatus.PREDICTED), then=Value("cancelled")),
        When(overridden=True, then=Value("preliminary")),
        When(SIGNED & Q(signed_review__reading_shown=F("prediction")), then=Value("final")),
        default="preliminary",
    )


def status_of_review() -> Case:
    return status_case(
        When(~SIGNED, then=Value("")),
        When(withdrawn_at__isnull=False, then=Value("entered-in-error")),
        When(review_status=ReviewStatus.AMENDED, then=Value("amended")),
        default="final",
    )


def status_case(*whens: When, default: str) -> Case:
    return Case(*whens, default=Value(default), output_field=CharField())


def published_screenings(actor: Actor) -> QuerySet[Any]:
    """With `reading_fhir` and `review_fhir`, the status of each Observation; empty where there is none."""
    seen = Screening.objects.visible_to(actor).with_cautions()
    related = ("signed_review__reviewer", "signed_review__reading_shown", "signature", "visit", "clinic")
    return seen.select_related(*related).annotate(
        overridden=is_overridden(),
        effective=Coalesce("image__captured_at", "image__created_at"),
        updated=latest("created_at", "finished_at", "signature__created_at", "withdrawn_at"),
        reading_fhir=status_of_reading(),
        review_fhir=status_of_review(),
    )


class ObservationResource(Resource):
    name = "Observation"
    model = Screening
    has_provenance = True
    conditions = {"patient": by_reference("patient"), "date": by_date("effective")}
    # These say another thing of each kind.
    of_kind = ("_id", "status", "code", "category")

    @property
    def known(self) -> set[str]:
        return {*super().known, *self.of_kind}

    def rows(self, actor: Actor) -> QuerySet[Any]:
        return published_screenings(actor).filter(~Q(reading_fhir="") | ~Q(review_fhir=""))

    def narrowed(self, rows: QuerySet[Any], search: Search) -> QuerySet[Any]:
        wanted = {kind: ~Q(**{f"{kind}_fhir": ""}) for kind in KINDS}
        for asked in search.asked:
            if asked.name in self.of_kind:
                wanted = {kind: query & self.kind_condition(kind, asked) for kind, query in wanted.items()}
            else:
                rows = rows.filter(self.condition(asked.name)(asked))
        marks = {f"is_{kind}": ExpressionWrapper(query, BooleanField()) for kind, query in wanted.items()}
        return rows.filter(reduce(or_, wanted.values())).annotate(**marks)

    def kind_condition(self, kind: str, asked: Asked) -> Q:
        match asked.name:
            case "code":
                return always(is_meant(asked, codes.OBSERVED.url, CODES[kind]))
            case "category":
                return always(is_meant(asked, codes.OBSERVATION_CATEGORY, "imaging"))
            case "status":
                return Q(**{f"{kind}_fhir__in": [each for each in STATUSES if is_meant(asked, STATUS, each)]})
        keys = [key_of(value) for value in asked.values]
        return Q(pk__in=[pk for of, pk in keys if of == kind])

    def build(self, row: Any) -> list[Dict]:
        """Those that were looked for; all that are there where nothing was."""
        return [make(row) for kind, make in KINDS.items() if getattr(row, f"is_{kind}", has(row, kind))]

    def find(self, actor: Actor, key: str) -> tuple[Any, Dict] | None:
        kind, pk = key_of(key)
        row = self.rows(actor).filter(pk=pk).first() if pk else None
        if row is None or not has(row, kind):
            return None
        refuse_erased(row)
        return row, KINDS[kind](row)


def has(row: Any, kind: str) -> bool:
    return bool(getattr(row, f"{kind}_fhir"))


def key_of(key: str) -> tuple[str, Any]:
    """The kind and the screening in an id such as `reading-<uuid>`; without a screening where it is none."""
    kind, _, rest = key.partition("-")
    return (kind, as_uuid(rest)) if kind in KINDS else ("", None)


def always(holds: bool) -> Q:
    return Q() if holds else Q(pk__in=[])
