from django.apps import AppConfig


class PatientsConfig(AppConfig):
    name = "patients"

    def ready(self) -> None:
        from patients.erased import lead_to_what_is_left
        from patients.restricted import refuse_closed
        from skinclinic.accounts.permissions import GUARDS

        GUARDS.extend([lead_to_what_is_left, refuse_closed])
