from django.conf import settings
from django.http import HttpRequest


def clinic(request: HttpRequest) -> dict[str, object]:
    """What the frame of every page shows: the clinic, who acts, whether this is a demo, and what it speaks."""
    return {
        "clinic": getattr(request, "clinic", None),
        "actor": getattr(request, "actor", None),
        "memberships": getattr(request, "memberships", []),
        "second_factor_required": settings.SECOND_FACTOR_REQUIRED,
        "is_demo": settings.DEMO,
        "languages": settings.LANGUAGES,
    }
