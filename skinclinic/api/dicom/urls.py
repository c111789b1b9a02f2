"""The addresses of DICOMweb; none ends in a slash, as PS3.18 has it."""

from django.urls import path, register_converter

from skinclinic.api.dicom.views import studies


class UidConverter:
    regex = r"[0-9.]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(UidConverter, "dicom_uid")

urlpatterns = [
    path("studies", studies, name="dicom_studies"),
    path("studies/<dicom_uid:study>", studies, name="dicom_study"),
]
