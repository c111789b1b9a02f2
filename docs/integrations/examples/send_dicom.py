"""Sends DICOM photographs to a clinic by STOW-RS, and says what became of each.

    pip install dicomweb-client pydicom requests
    CLINIC=http://localhost:8000 ID=… SECRET=… python send_dicom.py IM0001 IM0002 …

It can be sent again as often as the line breaks: an object that is stored already is answered as stored.
"""

import os
import sys

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

CLINIC = os.environ["CLINIC"].rstrip("/")


def fetch_token() -> str:
    answer = requests.post(
        f"{CLINIC}/api/oauth2/token/",
        auth=(os.environ["ID"], os.environ["SECRET"]),
        data={"grant_type": "client_credentials", "scope": "dicom:write"},
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def store(client: DICOMwebClient, told: Dataset) -> Dataset:
    """The client raises where nothing was stored (409); why stands in the answer's body all the same."""
    try:
        return client.store_instances([told])
    except requests.HTTPError as refusal:
        if refusal.response.status_code != 409:
            raise
        return Dataset.from_json(refusal.response.json())


def outcome(client: DICOMwebClient, path: str) -> str:
    try:
        told = dcmread(path)
    except (OSError, InvalidDicomError) as problem:
        return f"not sent: {problem}"
    answer = store(client, told)
    failed = [*answer.get("FailedSOPSequence", []), *answer.get("OtherFailuresSequence", [])]
    return "; ".join(f"{item.FailureReason:04X} {item.ErrorComment}" for item in failed) or "stored"


def main(paths: list[str]) -> int:
    client = DICOMwebClient(f"{CLINIC}/dicomweb", headers={"Authorization": f"Bearer {fetch_token()}"})
    outcomes = []
    for path in paths:
        outcomes.append(outcome(client, path))
        print(f"{path}: {outcomes[-1]}", flush=True)
    return 0 if set(outcomes) == {"stored"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
