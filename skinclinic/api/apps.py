from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "skinclinic.api"
