from django.apps import AppConfig
from django.contrib.admin import apps as admin


class ScreeningConfig(AppConfig):
    name = "screening"


class OperatorAdmin(admin.AdminConfig):
    """Django's admin, with a site of our own."""

    default = False
    default_site = "screening.operator.OperatorSite"
