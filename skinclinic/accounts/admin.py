"""What the operator reads of people and clinics; the site makes all of it read-only."""

from django.contrib import admin

from skinclinic.accounts.models import Clinic, User


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ("email", "full_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "full_name")
    fields = ("email", "full_name", "is_active", "is_staff", "date_joined", "last_login")


@admin.register(Clinic)
class ClinicAdmin(admin.ModelAdmin):
    list_display = ("name", "time_zone", "is_demo", "created_at")
