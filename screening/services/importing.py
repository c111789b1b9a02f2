"""A bulk import: a table is taken, photographs are kept beside it, somebody confirms, and patient follows patient."""

import contextlib
from collections.abc import Iterable
from datetime import datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from patients.codes import ConsentKind
from patients.models import Consent, Lesion, Patient, Visit
from patients.services import add_lesion, ids_of_person, note_consent, open_visit, register_patient
from screening.codes import PhotographKind
from screening.images import CleanPhotograph, PhotographRefused
from screening.import_places import place_of
from screening.import_report import HOLDS_BACK, Line, Verdict, assess, entry_of
from screening.import_table import Entry, Row, file_key, folded, read_table
from screening.importing import ImportRowStatus, ImportStatus
from screening.models import ImportBatch, ImportRow, LesionImage, LesionLabel
from screening.services.errors import StaleTransition
from screening.services.matching import Match, match_people
from screening.services.photographs import add_overview, add_photograph
from screening.services.queue import IMPORT, send, send_on_commit
from skinclinic.accounts.language import spoken_by
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.services import actor_in
from skinclinic.audit.acting import CLINICIAN, Actor, acting, system
from skinclinic.errors import ClinicError
from skinclinic.locks import next_in_spite_of_it
from skinclinic.text import one_line

MAX_ATTEMPTS = 3
MEGABYTE = 1024 * 1024
ERASED_AT_ONCE = 100
NOON = time(12)


class NotInTable(ClinicError):
    """No row waits for a file of this name."""

    def __init__(self) -> None:
        super().__init__(_("No row of the table names this file, or its row is refused. It is not kept."))


class ImportClosed(ClinicError):
    def __init__(self) -> None:
        super().__init__(_("This import was confirmed or dropped already. Load the page again and look."))


class ImportFull(ClinicError):
    def __init__(self) -> None:
        most = filesizeformat(most_bytes())
        super().__init__(
            _("An import holds at most %(most)s of photographs. Divide the table, and import one part after the other.")
            % {"most": most}
        )


class NothingToImport(ClinicError):
    """Not one patient whose rows are all ready."""


class RowRefused(ClinicError):
    """While a patient was imported, one of her rows could not be."""

    def __init__(self, number: int, sentence: str):
        super().__init__(sentence)
        self.number = number


def start_import(*, actor: Actor, submission: UUID, table: bytes) -> ImportBatch:
    """Keep the rows of a table, each with what is wrong with it. Raises TableRefused for a table that is none."""
    rows = read_table(table)
    with transaction.atomic():
        batch, is_new = ImportBatch.objects.get_or_create(
            started_by_id=actor.person(), submission=submission, defaults={"clinic_id": actor.own_clinic()}
        )
        if not is_new:
            return batch
        people: dict[int, Entry] = {}
        for row in rows:
            if row.entry:
                people.setdefault(row.person, row.entry)
        matches = match_people(batch.clinic_id, people)
        ImportRow.objects.bulk_create([kept_row(batch, row, matches.get(row.person, Match())) for row in rows])
    return batch


def kept_row(batch: ImportBatch, row: Row, match: Match) -> ImportRow:
    refusals = [*row.refusals, match.refusal] if match.refusal else list(row.refusals)
    if (
        row.entry
        and match.lesions.get(folded(row.entry.lesion), place := (row.entry.site, row.entry.laterality)) != place
    ):
        refusals.append(_("The lesion with this label is at another site or side in the record."))
    return ImportRow(
        clinic_id=batch.clinic_id,
        batch=batch,
        number=row.number,
        person=row.person,
        cells=row.cells,
        file_key="" if refusals else file_key(row.cells["file"]),
        refusal=" ".join(refusals),
        likely_patients=match.likely_patients,
        likely_rows=match.likely_people,
        patient=match.patient,
    )


def hold_open(batch: ImportBatch) -> None:
    """Lock the batch for this transaction; raises ImportClosed for one that is confirmed or dropped."""
    if not ImportBatch.objects.select_for_update(no_key=True).unconfirmed().filter(pk=batch.pk).exists():
        raise ImportClosed


def waiting_row(batch: ImportBatch, name: str) -> ImportRow:
    row = ImportRow.objects.open().filter(batch=batch, file_key=file_key(name)).exclude(file_key="").first()
    if row is None:
        raise NotInTable
    return row


def keep_photograph(*, batch: ImportBatch, name: str, clean: CleanPhotograph) -> ImportRow:
    """Keep a photograph beside the row that names its file, in place of one that came before under that name."""
    with transaction.atomic():
        hold_open(batch)
        row = waiting_row(batch, name)
        if row.photograph and row.upload_sha256 == clean.upload_sha256:
            return row
        size = len(clean.photograph) + len(clean.thumbnail)
        if size > bytes_left(batch) + row.size:
            raise ImportFull
        delete_bytes(row)
        row.size = size
        row.photograph.save("photograph.jpg", ContentFile(clean.photograph), save=False)
        row.thumbnail.save("thumbnail.jpg", ContentFile(clean.thumbnail), save=False)
        told = ("width", "height", "sha256", "upload_sha256", "captured_at", "camera")
        for column in told:
            setattr(row, column, getattr(clean, column))
        row.photograph_refusal = ""
        row.save(update_fields=["photograph", "thumbnail", "photograph_refusal", "size", *told])
        return row


def most_bytes() -> int:
    return int(settings.IMPORT_MOST_MB * MEGABYTE)


def bytes_left(batch: ImportBatch) -> int:
    """What may still be kept beside its rows."""
    kept: int = ImportRow.objects.filter(batch=batch).aggregate(size=Sum("size", default=0))["size"]
    return most_bytes() - kept


def refuse_photograph(*, batch: ImportBatch, name: str, refusal: PhotographRefused) -> None:
    """Say in its row that what came is no photograph; a better one may follow under the same name."""
    with transaction.atomic():
        hold_open(batch)
        row = waiting_row(batch, name)
        delete_bytes(row)
        row.photograph_refusal = str(refusal)
        row.photograph = row.thumbnail = ""
        row.size = 0
        row.save(update_fields=["photograph", "thumbnail", "photograph_refusal", "size"])


def delete_bytes(row: ImportRow) -> None:
    """Idempotent: a bucket forgets at once, also where the transaction is undone and comes again."""
    for file in (row.photograph, row.thumbnail):
        if file:
            file.delete(save=False)


def answer_likely(*, batch: ImportBatch, asked: Iterable[int], another: Iterable[int]) -> None:
    """Of the new patients that were asked about (by the number of their first row), which are somebody else."""
    with transaction.atomic():
        hold_open(batch)
        of_asked = ImportRow.objects.filter(batch=batch, person__in=asked)
        of_asked.filter(is_another=True).exclude(person__in=another).update(is_another=False)
        of_asked.filter(is_another=False, person__in=another).update(is_another=True)


def confirm_import(*, actor: Actor, batch: ImportBatch) -> None:
    """Import all patients whose rows are all ready; the others are left out, each row with its reason."""
    with transaction.atomic():
        hold_open(batch)
        lines = assess(ImportRow.objects.filter(batch=batch).in_order())
        if not any(line.verdict == Verdict.READY for line in lines):
            raise NothingToImport(_("There is no patient whose rows are all ready. Look at the problems first."))
        decide_rows(lines)
        moved = ImportBatch.objects.unconfirmed().filter(pk=batch.pk)
        moved.update(status=ImportStatus.CONFIRMED, confirmed_by=actor.person(), sent_at=timezone.now())
        send_on_commit(batch, task=IMPORT)


def decide_rows(lines: Iterable[Line]) -> None:
    """Of a batch that is held: what will not be imported is decided now, in one statement."""
    decided = []
    for line in lines:
        if line.verdict in HOLDS_BACK or line.verdict == Verdict.HELD:
            line.row.status = ImportRowStatus.LEFT_OUT
            line.row.refusal = line.said or _("Its photograph was not sent.")
        elif line.verdict == Verdict.PRESENT:
            line.row.status, line.row.refusal = ImportRowStatus.PRESENT, line.said
        else:
            continue
        decided.append(line.row)
    if ImportRow.objects.open().bulk_update(decided, ["status", "refusal"]) != len(decided):
        raise StaleTransition


def drop_import(*, batch: ImportBatch) -> None:
    """Forget a batch that is not confirmed. Nothing of it was in the record."""
    with transaction.atomic():
        hold_open(batch)
        close_batch(batch.pk, ImportStatus.OPEN, ImportStatus.DROPPED)
        erase_batch(batch.pk)


def close_batch(batch_id: UUID, was: ImportStatus, becomes: ImportStatus) -> None:
    ImportBatch.objects.filter(pk=batch_id, status=was).update(status=becomes, closed_at=timezone.now())


def erase_batch(batch_id: UUID) -> None:
    """Of a closed batch: names of files and of people, and then staged bytes, some at a time; the sweep goes on.

    What became of each row stays.
    """
    with transaction.atomic():
        batch = ImportBatch.objects.select_for_update(no_key=True).to_be_erased().filter(pk=batch_id)
        if not batch:
            return
        rows = ImportRow.objects.filter(batch=batch_id)
        rows.exclude(cells={}).update(
            cells={}, file_key="", sha256="", upload_sha256="", camera="", captured_at=None, likely_patients=[],
            likely_rows=[],
        )  # fmt: skip
        staged = list(rows.staged()[:ERASED_AT_ONCE])
        for row in staged:
            delete_bytes(row)
        rows.filter(pk__in=[row.pk for row in staged]).update(photograph="", thumbnail="", size=0)
        if rows.staged().exists():
            return
        batch.update(erased_at=timezone.now())


def import_next(*, batch_id: UUID, clinic_id: UUID) -> bool:
    """Import the next patient of a confirmed batch, or close it; whether there may be more to do.

    What goes wrong outside of the record's own refusals (the database is away, the worker is killed) ends the task;
    the rows stand, and after some tries are left out.
    """
    worker = system(clinic_id=clinic_id)
    with acting(worker):
        batch = ImportBatch.objects.confirmed().select_related("confirmed_by").filter(pk=batch_id).first()
        if batch is None:
            return False
        actor, rows = actor_in(clinic_id, batch.confirmed_by, CLINICIAN), take_person(batch)
        if not rows:
            close_batch(batch_id, ImportStatus.CONFIRMED, ImportStatus.DONE)
    if not rows:
        with acting(worker):
            erase_batch(batch_id)
        return False
    zone = ZoneInfo(Clinic.objects.get(pk=clinic_id).time_zone)
    with translation.override(spoken_by(batch.confirmed_by)), timezone.override(zone):
        import_or_leave_out(worker, actor, rows)
    return True


def import_or_leave_out(worker: Actor, actor: Actor | None, rows: list[ImportRow]) -> None:
    """What is kept in words is in those of who confirmed, and days are days of the clinic."""
    try:
        if actor is None:
            raise RowRefused(0, _("Who confirmed the import is no clinician of this clinic any more."))
        if rows[0].attempts > MAX_ATTEMPTS:
            raise RowRefused(
                0, _("It was cut off three times, by a fault on our side. Tell a manager, and import it again.")
            )
        with acting(actor, reason="bulk import"):
            import_person(actor=actor, rows=rows)
    except ClinicError as refusal:
        with acting(worker):
            leave_out(rows, refusal)


def take_person(batch: ImportBatch) -> list[ImportRow]:
    """The open rows of the next patient, with one attempt more on them."""
    waiting = ImportRow.objects.open().filter(batch=batch)
    first = waiting.in_order().values_list("person", flat=True).first()
    if first is None:
        return []
    waiting.filter(person=first).update(attempts=F("attempts") + 1)
    ImportBatch.objects.filter(pk=batch.pk).update(sent_at=timezone.now())
    return list(waiting.filter(person=first).in_order())


def leave_out(rows: list[ImportRow], refusal: ClinicError) -> None:
    at_fault = getattr(refusal, "number", 0)
    others = _("Row %(row)s of this patient could not be imported, so none of this patient's was.") % {"row": at_fault}
    for row in rows:
        move_row(row, ImportRowStatus.LEFT_OUT, refusal=others if at_fault not in (0, row.number) else str(refusal))


def move_row(row: ImportRow, status: ImportRowStatus, **columns: object) -> None:
    if ImportRow.objects.open().filter(pk=row.pk).update(status=status, **columns) != 1:
        raise StaleTransition


def import_person(*, actor: Actor, rows: list[ImportRow]) -> None:
    """All rows of one patient, or none: raises the first refusal, and the caller's transaction is undone."""
    entries = {row.pk: entry for row in rows if (entry := entry_of(row))}
    if len(entries) < len(rows):
        raise RowRefused(0, _("The rows of this patient cannot be read any more. Import them again."))
    patient = patient_of(actor, rows[0], entries)
    zone = ZoneInfo(Clinic.objects.get(pk=actor.own_clinic()).time_zone)
    lines = assess_again(rows, patient)
    wanted = [line for line in lines if line.verdict == Verdict.READY]
    note_consents(actor, patient, entries.values())
    visits = open_visits(actor, patient, [line.entry for line in wanted if line.entry])
    for line in lines:
        if line.verdict == Verdict.PRESENT:
            move_row(line.row, ImportRowStatus.PRESENT, refusal=line.said, patient=patient)
        elif line.entry:
            try:
                image = store(actor, visits[line.entry.taken_on], line.row, line.entry, zone)
            except ClinicError as refusal:
                raise RowRefused(line.row.number, str(refusal)) from refusal
            move_row(line.row, ImportRowStatus.IMPORTED, patient=patient, image=image)


def patient_of(actor: Actor, first: ImportRow, entries: dict[UUID, Entry]) -> Patient:
    """The record as it stands now decides, not as it was at the dry run."""
    entry = next(iter(entries.values()))
    match = match_people(actor.own_clinic(), {0: entry})[0]
    if match.refusal:
        raise RowRefused(0, match.refusal)
    if match.patient:
        return match.patient
    # Those of this table were asked about as rows of it.
    of_batch = ImportRow.objects.filter(batch=first.batch_id, status=ImportRowStatus.IMPORTED)
    if set(match.likely_patients) - {*first.likely_patients, *of_batch.values_list("patient", flat=True)}:
        raise RowRefused(
            0, _("A similar patient was registered after the table was looked at. Import these rows again.")
        )
    return register_patient(
        actor=actor,
        identity=entry.identity,
        sex=entry.sex,
        skin_type=entry.skin_type,
        record_number=entry.record_number,
    )


def assess_again(rows: list[ImportRow], patient: Patient) -> list[Line]:
    for row in rows:
        row.patient = patient
    lines = assess(rows)
    for line in lines:
        if line.verdict in HOLDS_BACK:
            raise RowRefused(line.row.number, line.said or _("Its photograph was not sent."))
    return lines


def note_consents(actor: Actor, patient: Patient, entries: Iterable[Entry]) -> None:
    """What the table says, unless the record has a decision of the same day or later: that one stands."""
    for entry in entries:
        if not entry.consent or entry.consent_date is None:
            continue
        kind = ConsentKind.AI_READING
        known = Consent.objects.in_force().filter(patient__in=ids_of_person(patient.pk), kind=kind)
        if not known.filter(decided_on__gte=entry.consent_date).exists():
            note_consent(actor=actor, patient=patient, kind=kind, decision=entry.consent, decided_on=entry.consent_date)
        return


def open_visits(actor: Actor, patient: Patient, entries: list[Entry]) -> dict[object, Visit]:
    """One for each day on which she was photographed; `created_at` is when it came into the record."""
    visits: dict[object, Visit] = {}
    for day in sorted({entry.taken_on for entry in entries}):
        asked = dict.fromkeys(entry.question for entry in entries if entry.taken_on == day and entry.question)
        visits[day] = open_visit(actor=actor, patient=patient, question=" ".join(asked)[:1000], photographed_on=day)
    return visits


def store(actor: Actor, visit: Visit, row: ImportRow, entry: Entry, zone: ZoneInfo) -> LesionImage:
    given: dict[str, Any] = {
        "actor": actor,
        "visit": visit,
        "lesion": lesion_of(visit.patient, entry),
        "clean": staged(row, entry, zone),
        "original_name": one_line(entry.file),
        "submission": row.pk,
    }
    stored = add_overview(**given) if entry.kind == PhotographKind.OVERVIEW else add_photograph(**given)
    return stored.image


def lesion_of(patient: Patient, entry: Entry) -> Lesion:
    label = folded(entry.lesion)
    known = LesionLabel.objects.filter(patient=patient, label=label).select_related("lesion").first()
    if known is None:
        place = place_of(entry.site, entry.laterality)
        if place is None:
            raise ValueError("A row whose site and side contradict each other was read as an entry.")
        lesion = add_lesion(patient=patient, site=entry.site, laterality=entry.laterality, **vars(place))
        LesionLabel.objects.create(clinic_id=patient.clinic_id, patient=patient, lesion=lesion, label=label)
        return lesion
    if (known.lesion.site, known.lesion.laterality) != (entry.site, entry.laterality):
        raise ClinicError(_("The lesion with this label is at another site or side in the record."))
    return known.lesion


def staged(row: ImportRow, entry: Entry, zone: ZoneInfo) -> CleanPhotograph:
    """The camera's time wins, since it has the hour; without either, noon is that day in every zone nearby."""
    told = datetime.combine(entry.taken_on, entry.taken_at or NOON, tzinfo=zone)
    try:
        photograph, thumbnail = fetch(str(row.photograph)), fetch(str(row.thumbnail))
    except FileNotFoundError:
        raise ClinicError(
            _("Its photograph could not be fetched from where it waited. Import the row again.")
        ) from None
    return CleanPhotograph(
        photograph=photograph,
        thumbnail=thumbnail,
        width=row.width or 0,
        height=row.height or 0,
        sha256=row.sha256,
        upload_sha256=row.upload_sha256,
        captured_at=row.captured_at or told,
        camera=row.camera,
    )


def fetch(name: str) -> bytes:
    """Without leaving the bytes in the row: a patient may have hundreds of photographs, and they come in one act."""
    with default_storage.open(name) as kept:
        return bytes(kept.read())


def sweep_imports() -> int:
    """Go on with what stands still, drop what nobody confirmed, erase what is closed; returns how many were sent."""
    sent = 0
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("imports", clinic):
            sent += sweep_imports_of(clinic.pk)
    return sent


def sweep_imports_of(clinic_id: UUID) -> int:
    with acting(system(clinic_id=clinic_id)):
        waiting = list(ImportBatch.objects.standing_still().values_list("pk", flat=True))
        forgotten = list(ImportBatch.objects.forgotten())
    sent = sum(claim_to_send(key, clinic_id) and send(key, clinic_id, task=IMPORT) for key in waiting)
    for batch in forgotten:
        with contextlib.suppress(ImportClosed), acting(system(clinic_id=clinic_id)):
            drop_import(batch=batch)
    with acting(system(clinic_id=clinic_id)):
        closed = list(ImportBatch.objects.to_be_erased().values_list("pk", flat=True))
    for batch_id in closed:
        with acting(system(clinic_id=clinic_id)):
            erase_batch(batch_id)
    return sent


def claim_to_send(batch_id: UUID, clinic_id: UUID) -> bool:
    """So that one message is under way for a batch, not one more at each sweep."""
    with acting(system(clinic_id=clinic_id)):
        standing = ImportBatch.objects.standing_still().filter(pk=batch_id)
        return standing.update(sent_at=timezone.now()) == 1
