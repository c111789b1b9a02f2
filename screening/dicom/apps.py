from django.apps import AppConfig


class DicomConfig(AppConfig):
    name = "screening.dicom"
    label = "dicom"
