"""Whose photograph a DICOM object says it is, and of what place. Nobody is registered by one."""

from django.db.models import Q
from django.utils.translation import gettext as _

from patients.codes import Laterality
from patients.models import Lesion, Patient, PatientIdentifier, PatientIdentity
from patients.querysets import is_similar
from patients.services import ids_of_person
from screening.dicom.sent import Number, SentObject, SentPatient
from skinclinic.audit.acting import Actor
from skinclinic.errors import ClinicError


class AnotherPerson(ClinicError):
    """The object contradicts the record. The sentence does not say whose it would be."""

    code = "another_person"

    def __init__(self) -> None:
        super().__init__(
            _(
                "This photograph says it is of another person than this record. Look whose record it is, and which "
                "photograph was chosen."
            )
        )


class PatientUnknown(ClinicError):
    code = "patient_unknown"

    def __init__(self) -> None:
        super().__init__(_("No patient of this clinic has this number from this issuer. Register the patient first."))


class PatientUnsure(ClinicError):
    """A number alone, of which nobody says who gave it."""

    code = "patient_unsure"

    def __init__(self) -> None:
        super().__init__(_("Name the issuer of the number, or send name and birth date beside it."))


class PlaceContradicted(ClinicError):
    code = "place_contradicted"

    def __init__(self) -> None:
        super().__init__(
            _("This photograph says it is of another place than this lesion. Choose the lesion that it shows.")
        )


def holders(clinic_id: object, numbers: tuple[Number, ...]) -> set[Patient]:
    """The remaining records of those who have one of the numbers in this clinic."""
    if not numbers:
        return set()
    wanted = Q()
    for system, value in numbers:
        wanted |= Q(system=system, value=value)
    known = PatientIdentifier.objects.filter(wanted, clinic=clinic_id).select_related("patient__merged_into")
    return {number.patient.merged_into or number.patient for number in known}


def find_person(*, actor: Actor, sent: SentPatient) -> Patient:
    """Raises PatientUnknown, PatientUnsure, AnotherPerson."""
    if not sent.has_issuer and not (sent.birth_date and sent.family_name):
        raise PatientUnsure
    found = holders(actor.own_clinic(), sent.numbers)
    if not found:
        raise PatientUnknown
    patient = found.pop()
    if found:
        raise AnotherPerson
    refuse_another_person(patient=patient, sent=sent)
    return patient


def refuse_another_person(*, patient: Patient, sent: SentPatient) -> None:
    """What the object does not say contradicts nothing. Raises AnotherPerson."""
    ours = set(ids_of_person(patient.pk))
    others = {each.pk for each in holders(patient.clinic_id, sent.numbers + sent.others)} - ours
    if others or has_another_number(ours, sent) or differs(PatientIdentity.objects.get(patient=patient), sent):
        raise AnotherPerson


def has_another_number(ours: set, sent: SentPatient) -> bool:
    """The issuer that is named knows her by other numbers. Without one it may be the camera's own count."""
    if not sent.has_issuer or not sent.numbers:
        return False
    systems = {system for system, _value in sent.numbers}
    hers = set(PatientIdentifier.objects.filter(patient__in=ours, system__in=systems).values_list("system", "value"))
    return bool(hers) and not hers & set(sent.numbers)


def differs(identity: PatientIdentity, sent: SentPatient) -> bool:
    """Names are spelt in many ways, days are not."""
    if sent.birth_date and sent.birth_date != identity.birth_date:
        return True
    name = f"{sent.family_name} {sent.given_name}".strip()
    return bool(name) and not is_similar(name, identity)


def refuse_elsewhere(lesion: Lesion, sent: SentObject) -> None:
    """The middle line is nobody's border: only left and right contradict each other. Raises PlaceContradicted."""
    other_site = sent.site and sent.site != lesion.site
    if other_site or {lesion.laterality, sent.laterality} == {Laterality.LEFT, Laterality.RIGHT}:
        raise PlaceContradicted


def refuse_contradiction(*, lesion: Lesion, sent: SentObject | None) -> None:
    """Asked of every photograph that is stored, whatever way it came. Raises AnotherPerson, PlaceContradicted."""
    if sent is not None:
        refuse_another_person(patient=lesion.patient, sent=sent.patient)
        refuse_elsewhere(lesion, sent)
