"""A Media that is sent: a photograph of a lesion of ours. It is taken like any upload, and waits to be read."""

import base64
import binascii
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from io import BytesIO
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from patients.models import Lesion, Patient, PatientIdentifier, Visit
from patients.services import hold_current, ids_of_person, open_visit
from screening.codes import PhotographKind
from screening.images import MAX_BYTES, CleanPhotograph, PhotographRefused, clean_photograph
from screening.models import LesionImage, Screening
from screening.services.photographs import add_overview, add_photograph
from skinclinic.api.fhir.codes import KINDS
from skinclinic.api.fhir.elements import BODY_SITE_EXTENSION, Dict
from skinclinic.api.fhir.errors import NumberTaken, Unprocessable
from skinclinic.api.fhir.models import PhotographNumber
from skinclinic.api.fhir.received import codes_in, part, parts, received, text
from skinclinic.api.fhir.searching import as_uuid, referred
from skinclinic.audit.acting import Actor

LONGEST_QUESTION = 1000
NUMBERS = 10


@dataclass(frozen=True)
class SentSubject:
    """Whom it says it shows: by a reference to us, or by a number that she is known by."""

    key: UUID | None
    number: dict[str, str]


@dataclass(frozen=True)
class SentMedia:
    """What a Media said, before it is known whether what it refers to is here."""

    lesion: UUID | None
    subject: SentSubject | None
    data: bytes
    taken_at: datetime | None
    question: str
    is_overview: bool
    numbers: list[Dict]


def read_media(body: Any, base: str) -> SentMedia:
    """base: the address of the FHIR side. Raises Unprocessable, PhotographRefused."""
    told = received(body, "Media")
    if told.get("status") != "completed":
        raise Unprocessable(("A photograph that is sent is completed.", "Media.status"))
    return SentMedia(
        lesion=lesion_in(told, base),
        subject=subject_in(told, base),
        data=bytes_in(part(told, "content", "Media")),
        taken_at=taken_in(told),
        question=" ".join(text(each, "text", "Media.note") for each in parts(told, "note", "Media"))[:LONGEST_QUESTION],
        is_overview=PhotographKind.OVERVIEW in codes_in(part(told, "modality", "Media"), KINDS.url, "Media.modality"),
        numbers=numbers_in(told),
    )


def lesion_in(told: Dict, base: str) -> UUID | None:
    place = "Media.bodySite.extension"
    for each in parts(part(told, "bodySite", "Media"), "extension", "Media.bodySite"):
        if each.get("url") == BODY_SITE_EXTENSION:
            said = text(part(each, "valueReference", place), "reference", place)
            return own_key(said, "BodyStructure", base, place)
    return None


def subject_in(told: Dict, base: str) -> SentSubject | None:
    """A number says who she is here, also where the reference is to the sender's own server."""
    place, said = "Media.subject", part(told, "subject", "Media")
    reference, number = text(said, "reference", place), part(said, "identifier", place)
    wanted = {name: text(number, name, f"{place}.identifier") for name in ("system", "value")} if number else {}
    if number and is_elsewhere(reference, "Patient", base):
        return SentSubject(None, wanted)
    return SentSubject(own_key(reference, "Patient", base, f"{place}.reference"), wanted) if said else None


def own_key(reference: str, kind: str, base: str, place: str) -> UUID | None:
    """Raises Unprocessable for what another server has, whatever its id is: that may be one of ours by chance."""
    if is_elsewhere(reference, kind, base):
        raise Unprocessable((f"Refer to a {kind} of this server: {kind}/ and its id.", place))
    return as_uuid(referred(reference, kind))


def is_elsewhere(reference: str, kind: str, base: str) -> bool:
    return "/" in reference.removeprefix(f"{base}/").removeprefix(f"{kind}/")


def bytes_in(content: Dict) -> bytes:
    place = "Media.content.data"
    said = text(content, "data", "Media.content")
    if not said:
        raise Unprocessable(("Send the photograph itself, as base64 in data.", place))
    if len(said) > MAX_BYTES * 4 // 3 + 4:
        raise PhotographRefused("too_large", "The file is larger than 25 MB. Send the photograph in a smaller size.")
    try:
        return base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unprocessable(("This is no base64.", place)) from error


def taken_in(told: Dict) -> datetime | None:
    said = text(told, "createdDateTime", "Media")
    try:
        found = parse_datetime(said) if said else None
    except ValueError:
        found = None
    if said and (found is None or found.tzinfo is None or not 1990 <= found.year <= 2100):
        raise Unprocessable(("Say when it was taken with its zone, as 2026-11-28T09:30:00Z.", "Media.createdDateTime"))
    return found


def numbers_in(told: Dict) -> list[Dict]:
    """What the sender calls it."""
    place, found = "Media.identifier", parts(told, "identifier", "Media")
    if len(found) > NUMBERS:
        raise Unprocessable((f"At most {NUMBERS} identifiers.", place))
    numbers = [{"system": text(each, "system", place), "value": text(each, "value", place)} for each in found]
    if not all(0 < len(each["value"]) <= 100 and len(each["system"]) <= 200 for each in numbers):
        raise Unprocessable(("An identifier has a value of at most 100 characters.", place))
    return numbers


def clean(sent: SentMedia, zone: tzinfo) -> CleanPhotograph:
    """The camera's own word on when it was taken goes before the sender's. Raises PhotographRefused."""
    cleaned = clean_photograph(BytesIO(sent.data), zone=zone)
    return replace(cleaned, captured_at=cleaned.captured_at or sent.taken_at)


def create_media(*, actor: Actor, sent: SentMedia, cleaned: CleanPhotograph) -> UUID:
    """In a transaction. Raises Unprocessable, NumberTaken, and as `add_photograph` does."""
    lesion = find_lesion(actor, sent)
    visit = visit_for(actor, lesion.patient, question=sent.question)
    add = add_overview if sent.is_overview else add_photograph
    made = add(actor=actor, visit=visit, lesion=lesion, clean=cleaned)
    add_numbers(made.image, sent.numbers)
    return made.image_id


def find_lesion(actor: Actor, sent: SentMedia) -> Lesion:
    found = Lesion.objects.visible_to(actor).select_related("patient").filter(pk=sent.lesion).first()
    if found is None:
        sentence = f"Name a BodyStructure of this clinic in the extension {BODY_SITE_EXTENSION}."
        raise Unprocessable((sentence, "Media.bodySite.extension"))
    if sent.subject is not None and not is_hers(actor, found, sent.subject):
        raise Unprocessable(("The BodyStructure is not of this Patient.", "Media.subject"))
    return found


def is_hers(actor: Actor, lesion: Lesion, subject: SentSubject) -> bool:
    key = subject.key
    if not key and subject.number:
        known = PatientIdentifier.objects.visible_to(actor).filter(**subject.number).first()
        key = known.patient_id if known else None
    return key in ids_of_person(lesion.patient_id)


def visit_for(actor: Actor, patient: Patient, *, question: str = "") -> Visit:
    """Two that are sent at the same moment come into one. Raises RecordMerged."""
    hold_current(patient)
    return visit_of_today(actor, patient) or open_visit(actor=actor, patient=patient, question=question)


def visit_of_today(actor: Actor, patient: Patient) -> Visit | None:
    """That which another system opened today for this patient, as long as nothing in it is signed."""
    opened = Visit.objects.visible_to(actor).filter(patient=patient, clinician=None, photographed_on=None)
    today = opened.filter(created_at__date=timezone.localdate(), taken_by=None)
    signed = Screening.objects.signed().filter(visit__in=today)
    return today.exclude(pk__in=signed.values("visit")).order_by("-created_at").first()


def add_numbers(image: LesionImage, numbers: list[Dict]) -> None:
    try:
        with transaction.atomic():
            for each in numbers:
                PhotographNumber.objects.create(
                    clinic_id=image.clinic_id, patient_id=image.patient_id, image=image, **each
                )
    except IntegrityError as error:
        raise NumberTaken(
            "Another photograph of this clinic has this identifier. Send If-None-Exist to find it."
        ) from error
