"""What a table says of people, set beside the record. Found by number alone; nobody is merged by a guess."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from patients.codes import ConsentDecision, ConsentKind
from patients.models import Consent, Patient, PatientIdentifier, PatientIdentity
from patients.querysets import is_similar
from patients.services import RECORD_NUMBER
from screening.import_table import Entry, folded
from screening.models import LesionLabel

MOST_OF_A_DAY = 100
Key = TypeVar("Key")


@dataclass
class Match:
    """Of one patient of the table: who she is in the record, or whom she resembles there; or why she is refused."""

    patient: Patient | None = None
    refusal: str = ""
    likely_patients: list[UUID] = field(default_factory=list)
    likely_people: list[int] = field(default_factory=list)
    # By folded label: site and side of the lesions that she has under it.
    lesions: dict[str, tuple[str, str]] = field(default_factory=dict)


def match_people(clinic_id: UUID, people: Mapping[int, Entry]) -> dict[int, Match]:
    """`people`: by a number of the caller's, what one row says of each. A few queries, however many they are."""
    holders = holders_of({entry.record_number for entry in people.values()}, clinic_id)
    matches = {person: match_found(entry, holders.get(entry.record_number)) for person, entry in people.items()}
    refuse_unwilling([match for match in matches.values() if match.patient])
    add_lesions([match for match in matches.values() if match.patient])
    # Nothing is asked about whom the record refuses.
    newcomers = {person: people[person] for person, match in matches.items() if not (match.patient or match.refusal)}
    add_likely(clinic_id, newcomers, matches)
    return matches


def holders_of(numbers: Iterable[str], clinic_id: UUID) -> dict[str, Patient]:
    found = PatientIdentifier.objects.filter(clinic_id=clinic_id, system=RECORD_NUMBER, value__in=numbers)
    return {
        each.value: each.patient for each in found.select_related("patient__identity", "patient__merged_into__identity")
    }


def match_found(entry: Entry, holder: Patient | None) -> Match:
    if holder is None:
        return Match()
    remaining = holder.merged_into or holder
    wanted = told(entry.family_name, entry.given_name, entry.birth_date)
    known = [each.identity for each in (holder, remaining)]
    if wanted not in [told(each.family_name, each.given_name, each.birth_date) for each in known]:
        return Match(
            refusal=_(
                "The patient with this number has another name or birth date in the record. "
                "Correct the number, the name or the date."
            )
        )
    return Match(patient=remaining)


def told(family_name: str, given_name: str, birth_date: object) -> tuple[str, str, object]:
    return folded(family_name), folded(given_name), birth_date


def refuse_unwilling(found: list[Match]) -> None:
    """A refusal in any of a person's records counts, as everywhere."""
    ids = [match.patient.pk for match in found if match.patient]
    refusing = Consent.objects.in_force().filter(
        Q(patient__in=ids) | Q(patient__merged_into__in=ids),
        kind=ConsentKind.PHOTOGRAPH,
        decision=ConsentDecision.REFUSED,
    )
    unwilling = {key for pair in refusing.values_list("patient", "patient__merged_into") for key in pair}
    for match in found:
        if match.patient and match.patient.pk in unwilling:
            match.refusal = _(
                "The patient refuses photographs in the record. Note the new decision first, if there is one."
            )


def add_lesions(found: list[Match]) -> None:
    ids = [match.patient.pk for match in found if match.patient]
    labels = LesionLabel.objects.filter(patient__in=ids).select_related("lesion")
    known: dict[UUID, dict[str, tuple[str, str]]] = defaultdict(dict)
    for each in labels:
        known[each.patient_id][each.label] = (each.lesion.site, each.lesion.laterality)
    for match in found:
        if match.patient:
            match.lesions = known[match.patient.pk]


def add_likely(clinic_id: UUID, newcomers: Mapping[int, Entry], matches: Mapping[int, Match]) -> None:
    """As `likely_duplicates` finds them for one: in the record, and among the other newcomers of the table."""
    candidates = PatientIdentity.objects.filter(clinic_id=clinic_id, patient__merged_into__isnull=True)
    candidates = candidates.annotate(lower_family=Lower("family_name")).filter(
        Q(birth_date__in={entry.birth_date for entry in newcomers.values()})
        | Q(lower_family__in={entry.family_name.lower() for entry in newcomers.values()})
    )
    in_record = Namesakes((each.patient_id, each) for each in candidates) if newcomers else Namesakes(())
    in_table = Namesakes(newcomers.items())
    for person, entry in newcomers.items():
        matches[person].likely_patients = in_record.of(entry)
        matches[person].likely_people = [other for other in in_table.of(entry) if other != person]


class Namesakes(Generic[Key]):
    """Who has the same birth date and a similar name, or the same name and any birth date.

    `people`: a key for each, with an identity or an entry of a table.
    """

    def __init__(self, people: Iterable[tuple[Key, Any]]):
        self.by_day: dict[date, list[tuple[Key, Any]]] = defaultdict(list)
        self.by_name: dict[tuple[str, str], list[Key]] = defaultdict(list)
        for key, named in people:
            self.by_day[named.birth_date].append((key, named))
            self.by_name[folded(named.family_name), folded(named.given_name)].append(key)

    def of(self, entry: Entry) -> list[Key]:
        wanted = f"{entry.family_name} {entry.given_name}"
        # A day that stands for "not known" has thousands: of those, only the same names are found.
        same_day = self.by_day[entry.birth_date] if len(self.by_day[entry.birth_date]) <= MOST_OF_A_DAY else []
        similar = [key for key, named in same_day if is_similar(wanted, named)]
        same_name = self.by_name[folded(entry.family_name), folded(entry.given_name)]
        return list(dict.fromkeys([*similar, *same_name]))
