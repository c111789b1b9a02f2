from django.apps import AppConfig


class PatientsConfig(AppConfig):
    name = "patients"

    def ready(self) -> None:
        from patients.restricted import refuse_closed
        from skinclinic.accounts.permissions import GUARDS

        GUARDS.append(refuse_closed)
