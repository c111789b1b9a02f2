"""One object that is sent by STOW: whose it is, where it belongs, and whether it is here already."""

from datetime import tzinfo
from io import BytesIO

from django.db import connection
from django.http import HttpRequest

from patients.models import Patient
from patients.services import ids_of_person
from screening.dicom.matching import find_person
from screening.dicom.models import DicomInstance
from screening.dicom.sent import SentObject
from screening.dicom.uids import key_in
from screening.images import CleanPhotograph, clean_photograph, one_decode, refuse_length
from screening.models import LesionImage
from screening.services.errors import PhotographsRefusedByPatient
from screening.services.photographs import add_photograph
from skinclinic.accounts.middleware import request_acting
from skinclinic.api.dicom.answers import Outcome, reason_of
from skinclinic.api.dicom.bodies import DICOM, Part
from skinclinic.api.dicom.placing import lesion_of
from skinclinic.api.fhir.new_media import visit_for
from skinclinic.audit.acting import Actor
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


class OtherStudy(ClinicError):
    code = "other_study"


class InstanceOfAnother(ClinicError):
    """An identifier that another patient's photograph has: to say it is stored would lose this one."""

    code = "instance_of_another"


class OtherKind(ClinicError):
    code = "not_dicom"


def store_object(http: HttpRequest, part: Part, *, study: str, zone: tzinfo) -> Outcome:
    """No transaction is open while its pixels are cleaned; one that is here already is not cleaned again."""
    try:
        sent = read_part(part, study, zone)
        with request_acting(http) as actor:
            found = already_here(actor, sent)
        if not found:
            clean = clean_photograph(BytesIO(part.data), zone=zone, takes_dicom=True)
            with request_acting(http) as actor:
                store_once(actor, sent, clean)
        return Outcome(sent.sop_class, sent.instance_uid)
    except ClinicError as refusal:
        return refused(http, part.data, refusal)


def read_part(part: Part, study: str, zone: tzinfo) -> SentObject:
    """Raises OtherKind, OtherStudy, PhotographRefused."""
    if part.content_type != DICOM:
        raise OtherKind
    refuse_length(part.data)
    from screening.dicom.reading import read_object  # 20 MB of pydicom, for processes that are sent an object

    with one_decode:
        sent = read_object(part.data, zone)
    if study and sent.study_uid != study:
        raise OtherStudy
    return sent


def refused(http: HttpRequest, data: bytes, refusal: ClinicError) -> Outcome:
    from screening.dicom.reading import sent_uids

    code = code_of(refusal)
    with request_acting(http):
        record("upload_refused", detail={"reason": code})
    return Outcome(*sent_uids(data), reason_of(code))


def code_of(refusal: ClinicError) -> str:
    if isinstance(refusal, PhotographsRefusedByPatient):
        return "photographs_refused"
    return str(getattr(refusal, "code", "refused"))


def already_here(actor: Actor, sent: SentObject) -> bool:
    """Also one of our own photographs that went out. Raises InstanceOfAnother, and as `find_person` does."""
    kept = DicomInstance.objects.visible_to(actor).filter(instance_uid=sent.instance_uid)
    holder = kept.values_list("patient_id", flat=True).first()
    if holder is None and (key := key_in(sent.instance_uid)):
        images = LesionImage.objects.visible_to(actor).filter(pk=key)
        holder = images.values_list("patient_id", flat=True).first()
    if holder is None:
        return False
    if holder not in ids_of_person(find_person(actor=actor, sent=sent.patient).pk):
        raise InstanceOfAnother
    return True


def store_once(actor: Actor, sent: SentObject, clean: CleanPhotograph) -> None:
    """In a transaction; who sends the same at the same moment waits, and then finds it."""
    with connection.cursor() as cursor:
        key = f"dicom {actor.own_clinic()} {sent.instance_uid}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
    if already_here(actor, sent):
        return
    patient = find_person(actor=actor, sent=sent.patient)
    store_for(actor, patient, sent, clean)


def store_for(actor: Actor, patient: Patient, sent: SentObject, clean: CleanPhotograph) -> None:
    """The visit first: it holds the patient, so that two objects of one new lesion make one."""
    visit = visit_for(actor, patient)
    add_photograph(actor=actor, visit=visit, lesion=lesion_of(patient=patient, sent=sent), clean=clean)
