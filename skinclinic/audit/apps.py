from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "skinclinic.audit"
