"""The running clinic as another system's DICOMweb client meets it."""

from typing import Any

import pytest
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset

from conftest import Cast, Chart, make_chart
from e2e.conftest import portal, portal_settings
from patients.services import add_identifier
from screening.dicom.tests.objects import ISSUER, as_bytes
from skinclinic.api.tests.test_api import Api

__all__ = ["portal", "portal_settings"]  # fixtures

BOUNDARY = "a-boundary"


@pytest.fixture(autouse=True)
def each_object_is_stored_alone(settings: Any) -> None:
    """Of a body with many, each has transactions of its own, in which the same is asked as for the others."""
    settings.ZEAL_ALLOWLIST = [*settings.ZEAL_ALLOWLIST, {"model": "*", "field": "*"}]


class Dicom(Api):
    def __init__(self, clinic: Any, scopes: tuple[str, ...] = ("dicom:write", "screenings:read")):
        super().__init__(clinic, scopes=list(scopes))

    def at(self, address: str) -> DICOMwebClient:
        return DICOMwebClient(f"{address}/dicomweb", headers=self.bearer)

    def store(self, *told: Dataset | bytes, study: str = "", **headers: str) -> Any:
        """Without a server between."""
        parts = [each if isinstance(each, bytes) else as_bytes(each) for each in told]
        return self.post_body(body_of(*parts), study, **headers)

    def post_body(self, body: bytes, study: str = "", **headers: str) -> Any:
        content_type = headers.pop(
            "content_type", f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
        )
        path = f"/dicomweb/studies/{study}" if study else "/dicomweb/studies"
        return self.browser.generic("POST", path, body, content_type=content_type, headers=self.bearer | headers)


def body_of(*parts: bytes, kind: str = "application/dicom") -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def reasons(answer: Any) -> list[int]:
    told = Dataset.from_json(answer.json())
    return [item.FailureReason for item in [*told.get("FailedSOPSequence", []), *told.get("OtherFailuresSequence", [])]]


def numbered(cast: Cast, **identity: str) -> Chart:
    """Erna, whom another system knows as 4711, with one lesion on the left half of her back."""
    chart = make_chart(cast.alice, **identity)
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system=ISSUER, value="4711")
    return chart


@pytest.fixture
def erna(cast: Cast) -> Chart:
    return numbered(cast)


@pytest.fixture
def api(cast: Cast) -> Dicom:
    return Dicom(cast.north)
