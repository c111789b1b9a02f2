"""What a DICOM object says of itself, as far as the clinic has a use for it."""

from dataclasses import dataclass
from datetime import date, datetime

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
PREAMBLE = 128
MARK = b"DICM"
CLASSES = frozenset({DERMOSCOPIC, PHOTOGRAPHIC})

# A system, and what it calls somebody.
Number = tuple[str, str]


@dataclass(frozen=True)
class SentPatient:
    """`numbers`: PatientID under each name that its issuer has; `others`: of OtherPatientIDsSequence.

    Where no issuer is named, PatientID is taken for a record number of the clinic's, and `has_issuer` is false; also
    where it is called a record number, since every clinic has those.
    """

    numbers: tuple[Number, ...]
    others: tuple[Number, ...]
    has_issuer: bool
    family_name: str
    given_name: str
    birth_date: date | None


@dataclass(frozen=True)
class Equipment:
    manufacturer: str = ""
    model_name: str = ""
    serial_number: str = ""
    software_versions: str = ""


@dataclass(frozen=True)
class SentObject:
    """`site` and `laterality` are ours, empty where the object does not say them so that there is one meaning."""

    sop_class: str
    instance_uid: str
    series_uid: str
    study_uid: str
    patient: SentPatient
    site: str
    laterality: str
    tracking_uid: str
    captured_at: datetime | None
    equipment: Equipment
    recognizable: str

    @property
    def camera(self) -> str:
        maker, model = self.equipment.manufacturer, self.equipment.model_name
        return (model if model.startswith(maker) else f"{maker} {model}").strip()[:100]


def is_dicom(data: bytes) -> bool:
    return data[PREAMBLE : PREAMBLE + len(MARK)] == MARK
