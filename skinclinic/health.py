"""Whether the clinic is alive, ready, and reading. For load balancers and monitors: no sign-in, no patient data."""

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from screening.services.queue import waiting_in_broker
from screening.services.readings import reading_backlog
from skinclinic.audit.acting import acting, system


@require_safe
@never_cache
def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and has every migration; a reading that is stuck does not take the portal away."""
    checks = {"database": "ok", "migrations": "ok"}
    try:
        if MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()):
            checks["migrations"] = "missing; run manage.py prepare_database"
    except DatabaseError:
        checks = {"database": "cannot be reached", "migrations": "unknown"}
    return answer(checks)


@require_safe
@never_cache
def reading(request: HttpRequest) -> JsonResponse:
    """503 when the oldest open reading is older than it should ever be, or the broker is away."""
    checks: dict[str, object] = {"broker": "ok", "reading": "ok"}
    if waiting_in_broker() is None:
        checks["broker"] = "cannot be reached"
    try:
        with acting(system()):
            backlog = reading_backlog()
    except DatabaseError:
        return answer({**checks, "reading": "unknown; the database cannot be reached"})
    oldest = max((clinic.oldest_seconds for clinic in backlog), default=0.0)
    if oldest > settings.READING_STUCK_AFTER:
        checks["reading"] = "stuck"
    return answer(checks, open_readings=sum(clinic.open_readings for clinic in backlog), oldest_seconds=round(oldest))


def answer(checks: dict[str, object], **figures: object) -> JsonResponse:
    fine = all(state == "ok" for state in checks.values())
    return JsonResponse({"status": "ok" if fine else "not ok", **checks, **figures}, status=200 if fine else 503)


for view in (alive, ready, reading):
    view.no_acting = True  # type: ignore[attr-defined]
