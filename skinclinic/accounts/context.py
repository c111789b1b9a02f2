from django.conf import settings
from django.http import HttpRequest

from skinclinic.accounts.entry import BOUND_TO
from skinclinic.accounts.sessions import WARNED_BEFORE, seconds_left


def clinic(request: HttpRequest) -> dict[str, object]:
    """What the frame of every page shows: the clinic, who acts, whether this is a demo, and what it speaks."""
    entered = getattr(request, "clinic", None)
    return {
        "clinic": entered,
        "actor": getattr(request, "actor", None),
        "memberships": getattr(request, "memberships", []),
        "session_left": int(seconds_left(request)) if hasattr(request, "session") else 0,
        "session_warned": min(WARNED_BEFORE, settings.SIGN_OUT_IDLE_AFTER // 2),
        "second_factor_required": settings.SECOND_FACTOR_REQUIRED and not getattr(entered, "is_demo", False),
        "came_by_hospital": BOUND_TO in getattr(request, "session", ()),
        "is_demo": settings.DEMO,
        "languages": settings.LANGUAGES,
    }
