from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "skinclinic.api"

    def ready(self) -> None:
        from skinclinic.api import schema  # noqa: F401  (registers itself with drf-spectacular)
        from skinclinic.api.webhooks import outbox  # noqa: F401  (listens to what is published)
