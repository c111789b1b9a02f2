"""What can be done to a patient's record. Each function is one transaction and returns what it made."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.body_map import BesideTheBody, is_on_body
from patients.codes import ConsentDecision, ConsentKind, IdentifierType, Urgency
from patients.erased import RecordErased, refuse_erased
from patients.models import Consent, Lesion, Patient, PatientIdentifier, PatientIdentity, Visit
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor
from skinclinic.errors import ClinicError, StaleForm
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish

RECORD_NUMBER = "urn:skinclinic:record-number"
IDENTITY_FIELDS = ("family_name", "given_name", "birth_date", "phone", "email", "address")


class IdentifierTaken(ClinicError):
    """Another patient of the clinic has this number."""

    def __init__(self, patient: Patient):
        super().__init__(_("Another patient of this clinic has this number. Open that chart, or correct the number."))
        self.patient = patient


class RecordMerged(ClinicError):
    """Nothing new is written into a record that was merged into another."""

    def __init__(self) -> None:
        super().__init__(_("This record was merged into another one. Open that one and work there."))


class NothingToWithdraw(ClinicError):
    """Only a consent that is given can be withdrawn."""


class CannotMerge(ClinicError):
    """These two records cannot be made one, or not be parted again."""


def register_patient(
    *,
    actor: Actor,
    identity: Mapping[str, Any],
    sex: str,
    skin_type: int | None = None,
    risk_factors: Iterable[str] = (),
    record_number: str = "",
) -> Patient:
    with transaction.atomic():
        patient = Patient.objects.create(
            clinic_id=actor.own_clinic(), sex=sex, skin_type=skin_type, risk_factors=list(risk_factors)
        )
        PatientIdentity.objects.create(patient=patient, clinic_id=patient.clinic_id, **identity)
        if record_number:
            add_identifier(patient=patient, system=RECORD_NUMBER, value=record_number)
        return patient


def add_identifier(
    *, patient: Patient, system: str, value: str, number_type: str = IdentifierType.RECORD
) -> PatientIdentifier:
    """Raises IdentifierTaken also when somebody else gives the same number at the same moment."""
    refuse_erased(patient)
    number = PatientIdentifier(
        clinic_id=patient.clinic_id, patient=patient, system=system, value=value, type=number_type
    )
    save_identifier(number)
    return number


def save_identifier(number: PatientIdentifier) -> None:
    """Raises IdentifierTaken."""
    try:
        with transaction.atomic():
            number.save()
    except IntegrityError as error:
        holders = PatientIdentifier.objects.filter(clinic=number.clinic_id, system=number.system, value=number.value)
        holder = holders.first()
        if holder is None:
            raise
        raise IdentifierTaken(holder.patient) from error


def record_number_of(patient: Patient) -> PatientIdentifier | None:
    return patient.identifiers.filter(system=RECORD_NUMBER).order_by("created_at").first()


def correct_record_number(*, patient: Patient, value: str) -> None:
    """What she is known by from now on; the ledger keeps that it changed. Raises IdentifierTaken.

    An empty value leaves what there is: a number that systems know her by is not taken away.
    """
    number = record_number_of(patient)
    if not value or (number and number.value == value):
        return
    if number is None:
        add_identifier(patient=patient, system=RECORD_NUMBER, value=value)
        return
    number.value = value
    save_identifier(number)


def correct_patient(
    *,
    patient: Patient,
    version: int,
    identity: Mapping[str, Any],
    sex: str,
    skin_type: int | None,
    risk_factors: Iterable[str],
    record_number: str = "",
) -> None:
    """Write the corrected details, unless somebody else did since `version` was shown. Raises IdentifierTaken."""
    with transaction.atomic():
        moved = Patient.objects.filter(pk=patient.pk, version=version, erased_at__isnull=True).update(
            sex=sex, skin_type=skin_type, risk_factors=list(risk_factors), version=F("version") + 1
        )
        if moved != 1:
            raise StaleForm(
                _("Somebody changed these details while you wrote. Load the page again and repeat your change.")
            )
        PatientIdentity.objects.filter(pk=patient.pk).update(**{name: identity[name] for name in IDENTITY_FIELDS})
        correct_record_number(patient=patient, value=record_number)


def note_consent(*, actor: Actor, patient: Patient, kind: str, decision: str, decided_on: date) -> Consent:
    """Note what the patient decided; what was in force before, in any of her records, ends now and stays on record."""
    with transaction.atomic():
        hold_current(patient)
        in_force = Consent.objects.in_force().filter(patient__in=ids_of_person(patient.pk), kind=kind)
        in_force.update(ended_at=timezone.now())
        return Consent.objects.create(
            clinic_id=patient.clinic_id,
            patient=patient,
            kind=kind,
            decision=decision,
            decided_on=decided_on,
            noted_by_id=actor.user_id,
        )


def withdraw_consent(*, actor: Actor, patient: Patient, kind: str) -> Consent:
    """A withdrawal is a decision: what was given ends, and a refusal of today is in force."""
    with transaction.atomic():
        refuse_without_consent(patient=patient, kind=kind)
        refused, today = ConsentDecision.REFUSED, timezone.localdate()
        return note_consent(actor=actor, patient=patient, kind=kind, decision=refused, decided_on=today)


def refuse_without_consent(*, patient: Patient, kind: str) -> None:
    if decision_of(patient.pk, kind) != ConsentDecision.GIVEN:
        raise NothingToWithdraw(_("There is no consent of this kind in force that could be withdrawn."))


def consents_of(records: Collection[UUID]) -> dict[str, Consent | None]:
    """What is in force for each kind there is, in all records of a person; a refusal wins over what was given.

    Each has `is_withdrawn`: it refuses what was given before.
    """
    of_person = Consent.objects.filter(patient__in=records)
    before = of_person.filter(
        kind=OuterRef("kind"), decision=ConsentDecision.GIVEN, created_at__lt=OuterRef("created_at")
    )
    is_withdrawn = Q(decision=ConsentDecision.REFUSED) & Exists(before)
    in_force = of_person.in_force().select_related("noted_by").annotate(is_withdrawn=is_withdrawn)
    found: dict[str, Consent | None] = dict.fromkeys(ConsentKind.values)
    for consent in in_force.order_by("created_at"):
        known = found[consent.kind]
        if known is None or known.decision != ConsentDecision.REFUSED:
            found[consent.kind] = consent
    return found


def decision_of(patient_id: UUID, kind: str) -> str | None:
    """The decision in force of the person whose record this is: refused if any of her records says so."""
    return decisions_of(patient_id).get(kind)


def decisions_of(patient_id: UUID) -> dict[str, str]:
    """By the kind of consent, as `decision_of` tells each."""
    of_person = Consent.objects.in_force().filter(patient__in=Patient.objects.of_person(patient_id))
    decisions = list(of_person.values_list("kind", "decision"))
    refused = {kind: decision for kind, decision in decisions if decision == ConsentDecision.REFUSED}
    return dict(decisions) | refused


def allows_reading(patient_id: UUID) -> bool:
    return decision_of(patient_id, ConsentKind.AI_READING) == ConsentDecision.GIVEN


def refuses_photographs(patient_id: UUID) -> bool:
    return decision_of(patient_id, ConsentKind.PHOTOGRAPH) == ConsentDecision.REFUSED


def hold_current(patient: Patient) -> None:
    """Lock the patient's row for this transaction; raises RecordMerged or RecordErased for one that is used no more."""
    if hold_kept(patient).merged_into_id:
        raise RecordMerged


def hold_kept(patient: Patient) -> Patient:
    """The patient's row, locked for this transaction; raises RecordErased.

    Without its key (as in the other locks of ours), so that rows which only point at it are written meanwhile: waiting
    for each other's foreign keys, an upload and an amendment in one visit would end in a deadlock.
    """
    held = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    refuse_erased(held)
    return held


def open_visit(
    *,
    actor: Actor,
    patient: Patient,
    question: str = "",
    history: list[str] | None = None,
    diameter_mm: int | None = None,
    urgency: str = Urgency.ROUTINE,
    photographed_on: date | None = None,
) -> Visit:
    """photographed_on: of an imported visit. It has no due time: it waits by its reading, and is never overdue."""
    with transaction.atomic():
        hold_current(patient)
        return Visit.objects.create(
            clinic_id=patient.clinic_id,
            patient=patient,
            clinician_id=actor.user_id,
            question=question,
            history=sorted(set(history or [])),
            diameter_mm=diameter_mm,
            urgency=urgency,
            photographed_on=photographed_on,
            due_at=None if photographed_on else due_from_now(patient.clinic_id, Urgency(urgency)),
        )


def due_from_now(clinic_id: UUID, urgency: Urgency) -> datetime:
    """Until when a visit is to be reviewed, as the clinic has it."""
    hours = Clinic.objects.values_list(f"due_hours_{urgency.value}", flat=True).get(pk=clinic_id)
    return timezone.now() + timedelta(hours=hours)


def add_lesion(*, patient: Patient, site: str, laterality: str, view: str, x: float, y: float) -> Lesion:
    with transaction.atomic():
        # The row lock keeps two lesions that are added at once from taking the same number.
        hold_current(patient)
        if not is_on_body(x, y):
            raise BesideTheBody
        last = Lesion.objects.filter(patient=patient).aggregate(last=Max("number"))["last"] or 0
        return Lesion.objects.create(
            clinic_id=patient.clinic_id,
            patient=patient,
            site=site,
            laterality=laterality,
            view=view,
            x=x,
            y=y,
            number=last + 1,
        )


def merge_patients(*, duplicate: Patient, into: Patient) -> None:
    """Say that `duplicate` is the same person as `into`. Both keep their rows and ids, so that it can be undone."""
    with transaction.atomic():
        both = Patient.objects.select_for_update(no_key=True).order_by("pk").filter(pk__in=[duplicate.pk, into.pk])
        rows = {row.pk: row for row in both}
        if any(row.erased_at for row in rows.values()):
            raise RecordErased
        if len(rows) != 2 or rows[duplicate.pk].merged_into_id or rows[into.pk].merged_into_id:
            raise CannotMerge(
                _("One of these records is merged already, or they are the same. Open the remaining one.")
            )
        if Patient.objects.filter(merged_into=duplicate).exists():
            raise CannotMerge(
                _("Another record was merged into this one. Part those two first, or merge the other way.")
            )
        Patient.objects.filter(pk=duplicate.pk).update(merged_into=into.pk, version=F("version") + 1)
        if rows[duplicate.pk].is_restricted or rows[into.pk].is_restricted:
            Patient.objects.filter(pk__in=rows).update(is_restricted=True)
        publish(EventType.PATIENT_MERGED, clinic_id=into.clinic_id, patient=duplicate.pk, into=into.pk)


def unmerge_patient(*, duplicate: Patient) -> None:
    with transaction.atomic():
        into = hold_kept(duplicate).merged_into_id
        moved = Patient.objects.filter(pk=duplicate.pk, merged_into__isnull=False).update(
            merged_into=None, version=F("version") + 1
        )
        if moved != 1 or into is None:
            raise CannotMerge(_("This record is not merged into another."))
        publish(EventType.PATIENT_UNMERGED, clinic_id=duplicate.clinic_id, patient=duplicate.pk, into=into)


def ids_of_person(patient_id: UUID) -> list[UUID]:
    """The record that remains, and those that were merged into it."""
    records = Patient.objects.of_person(patient_id).order_by(F("merged_into").asc(nulls_first=True))
    return list(records.values_list("pk", flat=True))
