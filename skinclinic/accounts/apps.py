from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "skinclinic.accounts"

    def ready(self) -> None:
        from skinclinic.accounts import signals  # noqa: F401  (connects the sign-in events)
