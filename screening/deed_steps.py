"""What a change of a row was, for things that go step by step; told by the columns that the ledger has of it."""

from typing import Any

from django.utils.translation import gettext


def step_of_resuming(changes: dict[str, Any]) -> str:
    if "resumed_at" in changes:
        return gettext("Readings resumed")
    asked = changes["resume_asked_at"][1]
    return gettext("Asked to resume readings") if asked else gettext("Request to resume taken back")


def step_of_switching(changes: dict[str, Any]) -> str:
    agreed = "agreed_by_id" in changes
    return gettext("Switch of the model agreed to") if agreed else gettext("Switch of the model taken back")


def step_of_alarm(changes: dict[str, Any]) -> str:
    if "acknowledged_at" in changes:
        return gettext("Alarm acknowledged")
    if "raised_at" in changes:
        return gettext("Alarm raised")
    return gettext("Alarm over") if changes.get("ended_at", [None, None])[1] else gettext("Alarm goes on")


def step_of_membership(changes: dict[str, Any]) -> str:
    if "is_active" not in changes:
        return gettext("Roles changed")
    return gettext("Enabled again") if changes["is_active"][1] else gettext("Disabled")


def step_of_invitation(changes: dict[str, Any]) -> str:
    if "accepted_at" in changes:
        return gettext("Invitation taken")
    return gettext("Invitation withdrawn") if "withdrawn_at" in changes else gettext("Invitation sent again")


def step_of_erasing(changes: dict[str, Any]) -> str:
    if "files_erased_at" in changes:
        return gettext("Files erased")
    if "erased_at" in changes:
        return gettext("Patient erased")
    return gettext("Erasure agreed to") if "agreed_by_id" in changes else gettext("Erasure taken back")


def step_of_hold(changes: dict[str, Any]) -> str:
    if "lifted_at" in changes:
        return gettext("Legal hold lifted")
    if "lift_asked_at" not in changes:
        return gettext("Words of a legal hold erased")
    asked = changes["lift_asked_at"][1]
    return gettext("Asked to lift a legal hold") if asked else gettext("Request to lift taken back")


STEPS = {
    "patients_erasure": step_of_erasing,
    "patients_legalhold": step_of_hold,
    "accounts_membership": step_of_membership,
    "accounts_invitation": step_of_invitation,
    "screening_suspension": step_of_resuming,
    "screening_switchrequest": step_of_switching,
    "screening_alarm": step_of_alarm,
}
