"""Where in the record an object belongs that nobody chose a place for."""

from django.db.models import Q
from django.utils.translation import gettext as _

from patients.models import Lesion, Patient
from patients.services import add_lesion
from screening.dicom.matching import refuse_elsewhere
from screening.dicom.models import DicomInstance
from screening.dicom.sent import SentObject
from screening.dicom.uids import key_in
from screening.import_places import place_of
from screening.models import LesionImage
from skinclinic.errors import ClinicError


class PlaceUnknown(ClinicError):
    code = "place_unknown"

    def __init__(self) -> None:
        super().__init__(_("Say which lesion it is by its Tracking UID, or site and side so that they mean one place."))


def lesion_of(*, patient: Patient, sent: SentObject) -> Lesion:
    """By its tracking UID; else the only one there is where the object says; else a new one.

    Raises PlaceUnknown, PlaceContradicted.
    """
    if known := tracked(patient, sent):
        refuse_elsewhere(known, sent)
        return known
    return only_one_there(patient, sent) or new_one(patient, sent)


def tracked(patient: Patient, sent: SentObject) -> Lesion | None:
    """A lesion's own UID is made of its key; others are known by the object that brought them first."""
    if not sent.tracking_uid:
        return None
    if ours := Lesion.objects.filter(patient=patient, pk=key_in(sent.tracking_uid)).first():
        return ours
    known = DicomInstance.objects.filter(patient=patient, tracking_uid=sent.tracking_uid)
    of_lesion = known.select_related("image__lesion", "image__screening__moved_to__image__lesion")
    return where_now(of_lesion.order_by("-created_at").first(), patient)


def where_now(known: DicomInstance | None, patient: Patient) -> Lesion | None:
    """Of a photograph that was moved within the record, the lesion it was moved to; a withdrawn one says nothing."""
    if known is None:
        return None
    screening = getattr(known.image, "screening", None)
    image: LesionImage = known.image
    if screening is not None and screening.is_withdrawn:
        if screening.moved_to is None or screening.moved_to.patient_id != patient.pk:
            return None
        image = screening.moved_to.image
    return image.lesion


def only_one_there(patient: Patient, sent: SentObject) -> Lesion | None:
    """Not one that the sender calls otherwise: two names are two lesions."""
    if not (sent.site and sent.laterality):
        return None
    there = Lesion.objects.filter(patient=patient, site=sent.site, laterality=sent.laterality)
    found = list(there[:2])
    if len(found) != 1:
        return None
    others = DicomInstance.objects.filter(~Q(tracking_uid__in=["", sent.tracking_uid]), image__lesion=found[0])
    return None if sent.tracking_uid and others.exists() else found[0]


def new_one(patient: Patient, sent: SentObject) -> Lesion:
    place = place_of(sent.site, sent.laterality) if sent.site and sent.laterality else None
    if place is None:
        raise PlaceUnknown
    return add_lesion(
        patient=patient, site=sent.site, laterality=sent.laterality, view=place.view, x=place.x, y=place.y
    )
