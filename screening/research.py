"""A set of photographs for research in which nobody can be recognised by what stands beside them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from random import SystemRandom
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.crypto import salted_hmac

from patients.codes import BodySite, ConsentDecision, ConsentKind, Sex
from patients.models import Consent, age_on
from screening.codes import MALIGNANT_DIAGNOSES
from screening.models import Outcome, Screening
from skinclinic.audit.acting import Actor

FEWEST_ALIKE = 5
LONGEST_SHIFT = 182  # days, to either side
FACE, INTIMATE = {BodySite.FACE, BodySite.EAR, BodySite.LIP}, {BodySite.GENITAL, BodySite.BUTTOCK}
KEPT_BACK = FACE | INTIMATE
REGIONS = {
    "head and neck": {BodySite.SCALP, BodySite.NECK},
    "trunk": {BodySite.CHEST, BodySite.ABDOMEN, BodySite.BACK},
    "upper limb": {BodySite.UPPER_ARM, BodySite.FOREARM, BodySite.HAND},
    "lower limb": {BodySite.THIGH, BodySite.LOWER_LEG, BodySite.FOOT},
    "palm, sole or nail": {BodySite.PALM, BodySite.SOLE, BodySite.NAIL},
}
REGION_OF = {site: region for region, sites in REGIONS.items() for site in sites}
OLDEST = 80
NOT_DERMOSCOPY = "not_dermoscopy"
PATHOLOGY, REVIEW = "pathology", "review"


@dataclass(frozen=True)
class Candidate:
    """A signed photograph of somebody who consents, as the record has it."""

    image: UUID
    lesion: UUID
    patient: UUID
    born: date
    sex: str
    skin_type: int | None
    site: str
    taken_at: datetime
    reviewed: str
    version: str
    malignancy: float
    band: str
    unscorable: Sequence[str]


@dataclass(frozen=True)
class Case:
    """A row of the set. `image` is the name of the photograph's file in it."""

    image: str
    lesion: str
    patient: str
    age: str
    sex: str
    skin_type: str
    region: str
    taken: str
    diagnosis: str
    diagnosis_by: str
    malignant: bool
    model: str
    score: float
    band: str


@dataclass(frozen=True)
class ResearchSet:
    """cases with the photographs they are of; what was left out, in photographs."""

    cases: list[tuple[Case, UUID]]
    not_dermoscopic: int
    kept_back_sites: int
    too_few_alike: int

    @property
    def patients(self) -> int:
        return len({case.patient for case, _image in self.cases})


COLUMNS = tuple(field.name for field in fields(Case))
Likeness = tuple[tuple[str, str, str], frozenset[str]]


def research_set(actor: Actor) -> ResearchSet:
    """What may leave the clinic today, under numbers drawn now."""
    consenting = list(candidates(actor))
    dermoscopic = [each for each in consenting if NOT_DERMOSCOPY not in each.unscorable]
    elsewhere = [each for each in dermoscopic if each.site not in KEPT_BACK]
    alike = with_enough_alike(elsewhere)
    return ResearchSet(
        cases=deidentified(alike, pathology_of(actor)),
        not_dermoscopic=len(consenting) - len(dermoscopic),
        kept_back_sites=len(dermoscopic) - len(elsewhere),
        too_few_alike=len(elsewhere) - len(alike),
    )


def candidates(actor: Actor) -> Iterator[Candidate]:
    person = Coalesce("patient__merged_into", "patient")
    signed = Screening.objects.visible_to(actor).in_use().filter(signature__isnull=False, prediction__isnull=False)
    shown = signed.without_erased().shown_to(actor).filter(is_hidden=False)
    rows = shown.annotate(person=person).filter(person__in=consenting_people(actor)).order_by()
    for row in rows.values_list(
        "image",
        "image__lesion",
        "person",
        Coalesce("patient__merged_into__identity__birth_date", "patient__identity__birth_date"),
        Coalesce("patient__merged_into__sex", "patient__sex"),
        Coalesce("patient__merged_into__skin_type", "patient__skin_type"),
        "image__lesion__site",
        Coalesce("image__captured_at", "image__created_at"),
        "signed_review__diagnosis",
        "prediction__model_version",
        "prediction__malignancy",
        "prediction__band",
        "prediction__unscorable_reasons",
    ).iterator(2000):
        yield Candidate(*row)


def consenting_people(actor: Actor) -> QuerySet:
    """Under the record that remains: who consents to research in some record of hers and refuses in none."""
    decided = Consent.objects.visible_to(actor).in_force().filter(kind=ConsentKind.RESEARCH)
    by_person = decided.annotate(person=Coalesce("patient__merged_into", "patient"))
    refused = by_person.filter(decision=ConsentDecision.REFUSED).values("person")
    given = by_person.filter(decision=ConsentDecision.GIVEN)
    return given.exclude(person__in=refused).values(person_id=F("person"))


def pathology_of(actor: Actor) -> dict[UUID, str]:
    """The last report of each lesion."""
    reports = Outcome.objects.visible_to(actor).in_force().order_by("reported_on", "created_at")
    return dict(reports.values_list("lesion", "diagnosis").iterator(2000))


def with_enough_alike(found: Sequence[Candidate]) -> list[Candidate]:
    """Such that at least FEWEST_ALIKE patients share each one's age, sex, skin type and regions.

    All regions of a patient count together, as her number joins her rows. Of who has too few like her, the region goes
    that the fewest of her age, sex and skin type have; that may leave others alone, or make her a decade older, so it
    is done until nobody is left alone.
    """
    kept = list(found)
    while alone := alone_among(kept):
        kept = [each for each in kept if (each.patient, REGION_OF[BodySite(each.site)]) not in alone]
    return kept


def alone_among(found: Sequence[Candidate]) -> set[tuple[UUID, str]]:
    """Of each patient whom fewer than FEWEST_ALIKE are like: she, and the region that tells most of her."""
    alike = patients_alike(found)
    having = Counter((kind, region) for (kind, regions), people in alike.items() for region in regions for _ in people)
    return {
        (patient, min(regions, key=lambda region: (having[kind, region], region)))
        for (kind, regions), people in alike.items()
        if len(people) < FEWEST_ALIKE
        for patient in people
    }


def patients_alike(found: Sequence[Candidate]) -> dict[Likeness, set[UUID]]:
    """Who cannot be told apart in the set: by age, sex and skin type, and all regions."""
    ages = ages_of(found)
    kinds, regions = {}, defaultdict(set)
    for each in found:
        kinds[each.patient] = (ages[each.patient], told_sex(each.sex), told_skin(each.skin_type))
        regions[each.patient].add(REGION_OF[BodySite(each.site)])
    alike = defaultdict(set)
    for patient, kind in kinds.items():
        alike[kind, frozenset(regions[patient])].add(patient)
    return alike


def ages_of(found: Iterable[Candidate]) -> dict[UUID, str]:
    """One decade for each patient: when the first of her photographs was taken."""
    first: dict[UUID, Candidate] = {}
    for each in found:
        if each.patient not in first or each.taken_at < first[each.patient].taken_at:
            first[each.patient] = each
    return {patient: decade(age_on(each.born, timezone.localdate(each.taken_at))) for patient, each in first.items()}


def decade(age: int) -> str:
    return f"{OLDEST} and over" if age >= OLDEST else f"{age // 10 * 10} to {age // 10 * 10 + 9}"


def told_sex(sex: str) -> str:
    return sex if sex in (Sex.FEMALE, Sex.MALE) else "other or not recorded"


def told_skin(skin_type: int | None) -> str:
    return "not recorded" if skin_type is None else ("I or II", "III or IV", "V or VI")[(skin_type - 1) // 2]


def deidentified(found: Sequence[Candidate], pathology: dict[UUID, str]) -> list[tuple[Case, UUID]]:
    """In no order, under numbers that are kept nowhere."""
    ages, chance = ages_of(found), SystemRandom()
    patients, lesions = numbers("P", (each.patient for each in found)), numbers("L", (each.lesion for each in found))
    images = numbers("I", (each.image for each in found))
    cases = []
    for each in chance.sample(found, len(found)):
        diagnosis = pathology.get(each.lesion)
        cases.append(
            (
                Case(
                    image=f"{images[each.image]}.jpg",
                    lesion=lesions[each.lesion],
                    patient=patients[each.patient],
                    age=ages[each.patient],
                    sex=told_sex(each.sex),
                    skin_type=told_skin(each.skin_type),
                    region=REGION_OF[BodySite(each.site)],
                    taken=str(timezone.localdate(each.taken_at) + shift_of(each.patient)),
                    diagnosis=diagnosis or each.reviewed,
                    diagnosis_by=PATHOLOGY if diagnosis else REVIEW,
                    malignant=(diagnosis or each.reviewed) in MALIGNANT_DIAGNOSES,
                    model=each.version,
                    score=round(each.malignancy, 4),
                    band=each.band or "unscorable",
                ),
                each.image,
            )
        )
    return cases


def shift_of(patient: UUID) -> timedelta:
    """The same in every set: photographs are their own key, and the mean of many shifts would be her true day."""
    drawn = int.from_bytes(salted_hmac("screening.research.shift", str(patient), algorithm="sha256").digest())
    return timedelta(days=drawn % (2 * LONGEST_SHIFT + 1) - LONGEST_SHIFT)


def numbers(letter: str, keys: Iterable[UUID]) -> dict[UUID, str]:
    """Drawn anew each time."""
    distinct = list(dict.fromkeys(keys))
    drawn = SystemRandom().sample(range(1, len(distinct) + 1), len(distinct))
    return {key: f"{letter}{number:06}" for key, number in zip(distinct, drawn, strict=True)}


def row_of(case: Case) -> list[object]:
    return list(asdict(case).values())
