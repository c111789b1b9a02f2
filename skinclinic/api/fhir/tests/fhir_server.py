"""A hospital's FHIR server as far as it is needed, behind the tests' HTTP receiver."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from skinclinic.api.fhir.tests.test_read import checked
from skinclinic.api.tests.receiving import Receiver

TOKEN, CLIENT, CLIENT_SECRET = "t0ken-of-the-hospital", "skin:clinic", "s3cret/of+the=client"
STATEMENT: dict[str, Any] = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"resource": [{"type": "DocumentReference", "conditionalUpdate": True}]}],
}


@dataclass
class Server:
    """A FHIR server as far as it is needed: conditional updates of DocumentReference, behind tokens that it gives."""

    receiver: Receiver
    token: str = TOKEN
    lasts: int = 300
    statement: Any = field(default_factory=lambda: STATEMENT)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    puts: int = 0
    given: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}/fhir"

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}/token"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if path == "/token":
            return self.give_token(headers, body)
        if headers["authorization"] != f"Bearer {self.token}":
            return 401, b"<h1>Winterbottom is not to be read by this token</h1>"
        if path == "/fhir/metadata":
            return 200, json.dumps(self.statement).encode()
        assert (method, headers["content-type"]) == ("PUT", "application/fhir+json")
        return self.put(parse_qs(urlsplit(path).query)["identifier"][0], json.loads(body))

    def put(self, identifier: str, document: dict[str, Any]) -> tuple[int, bytes]:
        assert f"{document['identifier'][0]['system']}|{document['identifier'][0]['value']}" == identifier
        self.puts += 1
        status = 200 if identifier in self.kept else 201
        self.kept[identifier] = document
        return status, b""

    def give_token(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        pair = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode().split(":")
        if [unquote_plus(each) for each in pair] != [CLIENT, CLIENT_SECRET]:
            return 401, json.dumps({"error": "invalid_client", "error_description": "Winterbottom"}).encode()
        assert parse_qs(body.decode())["grant_type"] == ["client_credentials"]
        self.given += 1
        self.token = f"given-{self.given}"
        told = {"access_token": self.token, "token_type": "Bearer", "expires_in": self.lasts}
        return 200, json.dumps(told).encode()

    def the_only(self) -> dict[str, Any]:
        (document,) = self.kept.values()
        return checked(document)
