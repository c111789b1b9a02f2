from django.contrib import admin

from screening.models import ModelVersion


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin):
    list_display = ("version", "weights_sha256", "preprocessing", "registered_at")
