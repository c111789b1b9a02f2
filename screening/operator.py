"""The operator's side: the admin, in which every record is read-only, and the installation at a glance.

She sees how much there is of everything and whether it works, and of no patient anything.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from screening.models import ModelVersion, Screening
from screening.services.queue import waiting_in_broker
from screening.services.readings import reading_backlog
from screening.status import ReadingStatus
from skinclinic.accounts.models import Clinic, Membership
from skinclinic.audit.acting import acting, system
from skinclinic.audit.sealing import SealState, seal_state
from skinclinic.workers import RollCall, call_roll

# What has no page of its own. What other packages would register, such as tokens, stays out.
SHOWN = frozenset({"accounts.User", "accounts.Clinic", "screening.ModelVersion"})
DAY = timedelta(days=1)


@dataclass(frozen=True)
class ClinicCounts:
    """photographs: of all time; read, failed: of the last day; oldest: of what waits to be read, in seconds."""

    name: str
    people: int
    photographs: int
    read: int
    failed: int
    waiting: int
    oldest: float | None


@dataclass(frozen=True)
class Installation:
    """roll and messages are None where the broker cannot be asked; bytes: of the database with its photographs."""

    clinics: list[ClinicCounts]
    roll: RollCall | None
    messages: int | None
    seals: SealState
    versions: list[str]
    bytes: int
    mail: str
    photographs_in: str


class ReadOnly(ModelAdmin):
    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False


class OperatorSite(AdminSite):
    site_header = site_title = _("Operator")
    index_title = _("The installation")
    index_template = "admin/installation.html"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Only what is named above, and nothing that could be changed, whoever registers it."""
        models = model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        for model in models:
            if model._meta.label in SHOWN:
                kind = type(f"ReadOnly{model.__name__}", (ReadOnly, admin_class or ModelAdmin), {})
                super().register(model, kind, **options)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """By everybody's door: Django's own would let her in with the password alone, and counts no tries."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied(_("This is for the operator of the installation."))
        return redirect_to_login(request.GET.get("next") or request.get_full_path())

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """On everybody's page, which counts the tries."""
        return redirect("account_change_password")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {"installation": installation(), **(extra_context or {})})


def installation() -> Installation:
    backlog = {each.clinic_id: each for each in reading_backlog()}
    return Installation(
        clinics=[counted(clinic, backlog.get(clinic.pk)) for clinic in Clinic.objects.order_by("name")],
        roll=call_roll(),
        messages=waiting_in_broker(),
        seals=seal_state(),
        versions=[version.pk for version in ModelVersion.objects.newest_first()],
        bytes=database_bytes(),
        mail=f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}" if settings.MAIL_URL else str(settings.MAIL_FOLDER),
        photographs_in=settings.PHOTOGRAPH_STORE,
    )


def counted(clinic: Clinic, backlog: Any) -> ClinicCounts:
    fine = [ReadingStatus.PREDICTED, ReadingStatus.UNSCORABLE]
    last_day = Q(finished_at__gte=timezone.now() - DAY)
    with acting(system(clinic_id=clinic.pk)):
        found = Screening.objects.filter(clinic=clinic).aggregate(
            photographs=Count("pk"),
            read=Count("pk", filter=last_day & Q(reading_status__in=fine)),
            failed=Count("pk", filter=last_day & Q(reading_status=ReadingStatus.FAILED)),
        )
        people = Membership.objects.active().filter(clinic=clinic, user__is_active=True).count()
    waiting, oldest = (backlog.open_readings, backlog.oldest_seconds) if backlog else (0, None)
    return ClinicCounts(name=clinic.name, people=people, waiting=waiting, oldest=oldest, **found)


def database_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])
