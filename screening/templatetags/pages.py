"""Which pages there are beside each other, and which of them is shown: for the rail and the tabs."""

from django import template
from django.template import Context
from django.utils.translation import gettext_lazy as _

from skinclinic.audit.acting import MANAGER

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
    "openings": _("Restricted"),
    "erasures": _("Erasures"),
}
# What managers decide for the clinic, and who may use it.
CLINIC_TABS = {
    "clinic_settings": _("Settings"),
    "clients": _("Systems"),
    "webhooks": _("Webhooks"),
    "identity_provider": _("Hospital sign-in"),
    "clinic_history": _("Changes"),
}
MANAGERS_ONLY = {"clinic_settings"}
# Pages that are a part of another one's tab.
PART_OF = {"webhooks_of_documents": "webhooks", "retention": "erasures", "erasure": "erasures"}
# Under which entry of the rail a page lies; one that is not named here is its own.
ENTRY_OF = {
    **dict.fromkeys(TABS, "dashboard"),
    **dict.fromkeys(("patient_chart", "patient_erase", "imports", "import_batch"), "patients"),
    **dict.fromkeys(CLINIC_TABS, "clinic"),
    **dict.fromkeys(
        ("client_rotate", "webhook", "webhook_rotate", "webhooks_of_documents", "clinic_keeping"), "clinic"
    ),
    **dict.fromkeys(("incident", "incident_new", "member", "table_export", "research_export"), "dashboard"),
    **dict.fromkeys(("look_back", "retention", "erasure"), "dashboard"),
    "model_card": "models",
}


def page_of(context: Context) -> str:
    """The name of its address; empty where an error's page stands in its place."""
    return getattr(context["request"].resolver_match, "url_name", None) or ""


@register.simple_tag(takes_context=True)
def entry_of_page(context: Context) -> str:
    return ENTRY_OF.get(page_of(context), page_of(context))


@register.simple_tag(takes_context=True)
def tabs_of_page(context: Context) -> list[tuple[str, str, bool]]:
    """Those that are beside it: each with its name, what it is called, and whether it is shown."""
    here = PART_OF.get(page_of(context), page_of(context))
    if ENTRY_OF.get(page_of(context)) != "clinic":
        return [(name, str(label), name == here) for name, label in TABS.items()]
    is_manager = context["actor"].has_role(MANAGER)
    own = {name: label for name, label in CLINIC_TABS.items() if is_manager or name not in MANAGERS_ONLY}
    return [(name, str(label), name == here) for name, label in own.items()]
