from django.contrib import admin

from screening.models import ModelVersion
from skinclinic.accounts.admin import ReadOnly


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnly):
    list_display = ("version", "weights_sha256", "preprocessing", "registered_at")
