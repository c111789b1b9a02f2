import warnings

from django.apps import AppConfig


class DicomConfig(AppConfig):
    name = "screening.dicom"
    label = "dicom"

    def ready(self) -> None:
        # pydicom's warnings quote what stands in an object. Where objects are read they are caught as well, but
        # `catch_warnings` of one thread undoes another's.
        warnings.filterwarnings("ignore", module="pydicom")
