"""What will become of each row of an import, and why; computed at each asking, and stored nowhere."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import TextChoices
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from screening.import_table import CellRefused, Entry, folded, read_entry
from screening.importing import ImportRow, ImportRowStatus, LesionLabel
from screening.models import LesionImage


class Verdict(TextChoices):
    READY = "ready", gettext_lazy("Ready")
    WAITING = "waiting", gettext_lazy("Not sent yet")
    ASKED = "asked", gettext_lazy("Needs your answer")
    REFUSED = "refused", gettext_lazy("Refused")
    HELD = "held", gettext_lazy("Held back")
    PRESENT = "present", gettext_lazy("In the record already")
    IMPORTED = "imported", gettext_lazy("Imported")
    LEFT_OUT = "left_out", gettext_lazy("Left out")


PROBLEMS = frozenset({Verdict.ASKED, Verdict.REFUSED, Verdict.HELD, Verdict.LEFT_OUT})
# What may still be added, once what is in its way is seen to.
TO_COME = frozenset({Verdict.READY, Verdict.WAITING, Verdict.ASKED, Verdict.HELD})
# What keeps the patient's other rows back: they come all or none.
HOLDS_BACK = frozenset({Verdict.ASKED, Verdict.REFUSED, Verdict.WAITING})
DECIDED = {
    ImportRowStatus.IMPORTED: Verdict.IMPORTED,
    ImportRowStatus.PRESENT: Verdict.PRESENT,
    ImportRowStatus.LEFT_OUT: Verdict.LEFT_OUT,
}


@dataclass
class Line:
    """`entry`: None where the row cannot be read, or was erased. `said`: why, or what will happen."""

    row: ImportRow
    entry: Entry | None
    verdict: Verdict
    said: str = ""
    is_new_lesion: bool = False

    @property
    def is_problem(self) -> bool:
        return self.verdict in PROBLEMS

    @property
    def is_newcomer(self) -> bool:
        """A row that is refused may name anybody: her number may be in the record, beside another name."""
        return self.row.patient_id is None and not self.row.refusal

    @property
    def is_to_come(self) -> bool:
        return self.verdict in TO_COME


@dataclass
class Known:
    """What the record has: the files of photographs with the people they are of, and labels of lesions."""

    people_of_file: dict[str, set[UUID]]
    labels: set[tuple[UUID, str]]


def assess(rows: Iterable[ImportRow]) -> list[Line]:
    """A line for each of the rows, in their order; `rows` are all of the patients that are among them."""
    rows = list(rows)
    known = look_up(rows)
    lines = [line_of(row, known) for row in rows]
    refuse_same_files(lines)
    hold_back(lines)
    mark_lesions(lines, known)
    return lines


def look_up(rows: list[ImportRow]) -> Known:
    files = {row.upload_sha256 for row in rows if row.upload_sha256}
    clinics = {row.clinic_id for row in rows}
    images = LesionImage.objects.in_use().filter(clinic__in=clinics, upload_sha256__in=files)
    people: dict[str, set[UUID]] = defaultdict(set)
    for sha256, person in images.values_list("upload_sha256", Coalesce("patient__merged_into", "patient")):
        people[sha256].add(person)
    patients = {row.patient_id for row in rows if row.patient_id}
    labels = LesionLabel.objects.filter(clinic__in=clinics, patient__in=patients).values_list("patient", "label")
    return Known(people, set(labels))


def line_of(row: ImportRow, known: Known) -> Line:
    entry = entry_of(row)
    if row.status != ImportRowStatus.OPEN:
        return Line(row, entry, DECIDED[ImportRowStatus(row.status)], row.refusal)
    if row.refusal or row.photograph_refusal or entry is None:
        return Line(row, entry, Verdict.REFUSED, row.refusal or row.photograph_refusal)
    if (row.likely_patients or row.likely_rows) and not row.is_another:
        return Line(
            row, entry, Verdict.ASKED, _("This one resembles another patient. Say whether it is somebody else.")
        )
    verdict, said = verdict_of_file(row, known) if row.photograph else (Verdict.WAITING, "")
    if verdict == Verdict.READY:
        said = two_days(row, entry)
    return Line(row, entry, verdict, said)


def verdict_of_file(row: ImportRow, known: Known) -> tuple[Verdict, str]:
    holders = known.people_of_file.get(row.upload_sha256, set())
    if row.patient_id in holders:
        return Verdict.PRESENT, _("The record has the same photograph; it is not added again.")
    if holders:
        return Verdict.REFUSED, _("Another patient's record has the same photograph. Find out whose it is.")
    return Verdict.READY, ""


def two_days(row: ImportRow, entry: Entry) -> str:
    """A camera's clock is wrong as often as a table is; somebody should look before it is in the record."""
    taken_on = timezone.localdate(row.captured_at) if row.captured_at else entry.taken_on
    if taken_on == entry.taken_on:
        return ""
    told = _("The camera says %(day)s. The visit bears the day of the table, the photograph the time of the camera.")
    return told % {"day": date_format(taken_on)}


def entry_of(row: ImportRow) -> Entry | None:
    try:
        return read_entry(row.cells)
    except CellRefused:
        return None


def refuse_same_files(lines: list[Line]) -> None:
    """One file under two names: either one row is wrong or one is too many, and nobody but the clinic knows which."""
    same = defaultdict(list)
    for line in lines:
        if line.verdict == Verdict.READY:
            same[line.row.upload_sha256].append(line)
    for twins in same.values():
        for line in twins if len(twins) > 1 else []:
            other = next(twin for twin in twins if twin is not line)
            line.verdict = Verdict.REFUSED
            line.said = _("Row %(row)s has the same photograph. Remove one of the two from the table.") % {
                "row": other.row.number
            }


def hold_back(lines: list[Line]) -> None:
    first: dict[int, Line] = {}
    for line in lines:
        if line.verdict in HOLDS_BACK:
            first.setdefault(line.row.person, line)
    for line in lines:
        if line.verdict == Verdict.READY and line.row.person in first:
            line.verdict = Verdict.HELD
            line.said = _(
                "Row %(row)s of the same patient is not ready; the rows of one patient come together or not at all."
            ) % {"row": first[line.row.person].row.number}


def mark_lesions(lines: list[Line], known: Known) -> None:
    seen: set[tuple[int, str]] = set()
    for line in lines:
        if line.entry is None:
            continue
        label = folded(line.entry.lesion)
        is_known = line.row.patient_id is not None and (line.row.patient_id, label) in known.labels
        line.is_new_lesion = not is_known and (line.row.person, label) not in seen
        seen.add((line.row.person, label))


@dataclass(frozen=True)
class Counts:
    """`ready_people`: patients who would be imported now; `waiting`: photographs that are still to be sent."""

    rows: int
    ready: int
    waiting: int
    problems: int
    present: int
    imported: int
    ready_people: int
    new_people: int


def count(lines: list[Line]) -> Counts:
    of = Counter(line.verdict for line in lines)
    ready = [line for line in lines if line.verdict == Verdict.READY]
    return Counts(
        rows=len(lines),
        ready=len(ready),
        waiting=of[Verdict.WAITING],
        problems=sum(line.is_problem for line in lines),
        present=of[Verdict.PRESENT],
        imported=of[Verdict.IMPORTED],
        ready_people=len({line.row.person for line in ready}),
        new_people=len({line.row.person for line in ready if line.row.patient_id is None}),
    )
