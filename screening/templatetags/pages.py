"""Which pages there are beside each other, and which of them is shown: for the rail and the dashboard's tabs."""

from django import template
from django.template import Context
from django.utils.translation import gettext_lazy as _

register = template.Library()

# The dashboard's pages by the names of their addresses, in the order of their tabs.
TABS = {
    "dashboard": _("Now"),
    "alarms": _("Alarms"),
    "unread": _("Not read"),
    "overdue": _("Overdue"),
    "agreement": _("Agreement"),
    "truth": _("Truth"),
    "drift": _("Drift"),
    "beside": _("Side by side"),
    "incidents": _("Incidents"),
    "exports": _("Exports"),
    "people": _("People"),
    "identity_provider": _("Hospital sign-in"),
    "openings": _("Restricted"),
    "clients": _("Other systems"),
    "webhooks": _("Webhooks"),
}
# Pages that are a part of another one's tab.
PART_OF = {"webhooks_of_documents": "webhooks"}
# Under which entry of the rail a page lies; one that is not named here is its own.
ENTRY_OF = {
    **dict.fromkeys(TABS, "dashboard"),
    **dict.fromkeys(("patient_chart", "imports", "import_batch"), "patients"),
    "clinic_history": "clinic_settings",
    **dict.fromkeys(
        (
            "incident",
            "incident_new",
            "member",
            "table_export",
            "research_export",
            "look_back",
            "client_rotate",
            "webhook",
            "webhook_rotate",
            "webhooks_of_documents",
        ),
        "dashboard",
    ),
    "model_card": "models",
}


def page_of(context: Context) -> str:
    """The name of its address; empty where an error's page stands in its place."""
    return getattr(context["request"].resolver_match, "url_name", None) or ""


@register.simple_tag(takes_context=True)
def entry_of_page(context: Context) -> str:
    return ENTRY_OF.get(page_of(context), page_of(context))


@register.simple_tag(takes_context=True)
def dashboard_tabs(context: Context) -> list[tuple[str, str, bool]]:
    """Each with its name, what it is called, and whether it is shown."""
    here = PART_OF.get(page_of(context), page_of(context))
    return [(name, str(label), name == here) for name, label in TABS.items()]
