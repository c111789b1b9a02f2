from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "skinclinic.accounts"

    def ready(self) -> None:
        from skinclinic import checks  # noqa: F401  (registers itself)
        from skinclinic.accounts import signals  # noqa: F401  (connects the sign-in events)
