from django.apps import AppConfig


class FhirConfig(AppConfig):
    name = "skinclinic.api.fhir"
    label = "fhir"

    def ready(self) -> None:
        from skinclinic.api.fhir import push  # noqa: F401  (adds its kind to what webhooks send)
