from django.conf import settings
from django.http import HttpRequest


def clinic(request: HttpRequest) -> dict[str, object]:
    """What the frame of every page shows: the clinic, who acts, whether this is a demo, and what it speaks."""
    return {
        "clinic": getattr(request, "clinic", None),
        "actor": getattr(request, "actor", None),
        "memberships": getattr(request, "memberships", []),
        "is_demo": settings.DEMO,
        "languages": settings.LANGUAGES,
    }
