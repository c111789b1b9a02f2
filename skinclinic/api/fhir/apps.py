from django.apps import AppConfig


class FhirConfig(AppConfig):
    name = "skinclinic.api.fhir"
    label = "fhir"
