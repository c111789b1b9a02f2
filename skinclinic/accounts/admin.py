"""The operator's side: people and clinics. Records are read-only here, and she sees none of any patient's."""

from django.contrib import admin

from skinclinic.accounts.models import Clinic, User


class ReadOnly(admin.ModelAdmin):
    def has_add_permission(self, request, obj=None) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False


@admin.register(User)
class UserAdmin(ReadOnly):
    list_display = ("email", "full_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "full_name")
    fields = ("email", "full_name", "is_active", "is_staff", "date_joined", "last_login")


@admin.register(Clinic)
class ClinicAdmin(ReadOnly):
    list_display = ("name", "time_zone", "is_demo", "created_at")
