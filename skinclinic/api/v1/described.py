"""What the page of the API says of each address: a line, a room, and a body that can be sent as it stands."""

from typing import Any

PREFIX = "/api/v1/"
# One of them, and all.
THINGS = {
    "changes": ("An event", "Events"),
    "follow-ups": ("A follow-up", "Follow-ups"),
    "lesions": ("A lesion", "Lesions"),
    "model-versions": ("A model", "Models"),
    "outcomes": ("A pathology report", "Pathology"),
    "patients": ("A patient", "Patients"),
    "reports": ("A signed report", "Signed reports"),
    "screenings": ("A screening", "Screenings"),
    "visits": ("A visit", "Visits"),
    "webhooks": ("A webhook", "Webhooks"),
}
# By method and address; the others are lists and single things.
LINES = {
    "get changes/": "What happened since",
    "post follow-ups/{id}/close/": "Close a follow-up",
    "post lesions/": "Mark a lesion on the body map",
    "post outcomes/": "Enter what pathology found",
    "post patients/": "Register a patient",
    "patch patients/{id}/": "Correct a patient's details",
    "get patients/{id}/consents/": "What she decided",
    "post patients/{id}/consents/": "Note what she decided",
    "post patients/{id}/identifiers/": "Add a number",
    "post patients/{id}/link/": "Make a link to her chart",
    "post patients/{id}/merge/": "Merge into another record",
    "post patients/{id}/unmerge/": "Part merged records",
    "post patients/search/": "Find patients by words or by a number",
    "get reports/{id}/pdf/": "The report as a PDF",
    "post screenings/": "Upload a photograph",
    "post screenings/bulk/": "Upload up to 100 photographs",
    "get screenings/{id}/dicom/": "The photograph as a DICOM object",
    "get screenings/{id}/history/": "Every step of it",
    "get screenings/{id}/map/": "Where the score came from",
    "get screenings/{id}/photograph/": "The photograph",
    "get screenings/{id}/reviews/": "What doctors signed",
    "get screenings/{id}/thumbnail/": "The photograph, small",
    "post screenings/{id}/withdraw/": "Withdraw it",
    "post visits/": "Open a visit",
    "post webhooks/": "Make a webhook",
    "patch webhooks/{id}/": "Change a webhook",
    "delete webhooks/{id}/": "Disable a webhook",
    "get webhooks/{id}/deliveries/": "What it was sent",
    "post webhooks/{id}/enable/": "Enable it again",
    "post webhooks/{id}/replay/": "Send a message again",
    "post webhooks/{id}/rotate/": "Another secret",
    "post webhooks/{id}/test/": "Send a test",
}
# An id of yours stands in place of this one.
AN_ID = "00000000-0000-4000-8000-000000000000"
BODIES: dict[str, dict[str, Any]] = {
    "CloseRequest": {"status": "done"},
    "ConsentRequest": {"kind": "ai_reading", "decision": "given", "decided_on": "2026-11-27"},
    "IdentifierRequest": {"system": "urn:example:lab", "value": "L-4711", "type": "other"},
    "LesionRequest": {"patient": AN_ID, "site": "back", "laterality": "left", "view": "back", "x": 0.42, "y": 0.3},
    "MergeRequest": {"into": AN_ID},
    "OutcomeRequest": {"lesion": AN_ID, "diagnosis": "nevus", "reported_on": "2026-11-27"},
    "PatchedPatientCorrectionRequest": {"identity": {"phone": "+43 1 234567"}, "skin_type": 2},
    "PatientRequest": {
        "identity": {"family_name": "Example", "given_name": "Ada", "birth_date": "1961-04-30"},
        "sex": "female",
        "identifiers": [{"system": "urn:example:his", "value": "4711"}],
    },
    "SearchRequest": {"identifier": {"system": "urn:example:his", "value": "4711"}},
    "VisitRequest": {"patient": AN_ID, "question": "Changed since spring?", "urgency": "soon"},
    "WithdrawRequest": {"reason": "other", "words": "Blurred; another one was taken."},
}


def describe(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A hook of drf-spectacular."""
    for path, item in result["paths"].items():
        if path.startswith(PREFIX):
            for method, operation in item.items():
                describe_one(operation, method, path.removeprefix(PREFIX))
    return result


def describe_one(operation: dict[str, Any], method: str, address: str) -> None:
    one, several = THINGS[address.partition("/")[0]]
    operation["tags"] = [several]
    operation["summary"] = LINES.get(f"{method} {address}") or (one if "{" in address else several)
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = BODIES.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2])
    if example is not None:
        content.setdefault("examples", {"Send": {"value": example}})
