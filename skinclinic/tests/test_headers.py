"""What browsers are told they may do, with every answer. The browser tests hold that our own pages live with it."""

import pytest

from conftest import Cast

PLACES = [
    "/worklist/",
    "/",
    "/accounts/login/",
    "/nowhere/",
    "/api/v1/patients/",
    "/api/docs/",
    "/fhir/metadata",
    "/healthz",
]


@pytest.mark.parametrize("place", [*PLACES, "/static/skinclinic/theme.css"])
def test_every_answer_says_what_may_be_done_with_it(cast: Cast, place: str):
    answer = cast.rita.client.get(place)
    answer.close()
    told = answer.headers
    policy = dict(part.partition(" ")[::2] for part in told["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["form-action"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in told["Content-Security-Policy"]
    assert {"camera=()", "geolocation=()", "microphone=()"} <= set(told["Permissions-Policy"].split(", "))
    assert told["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("place", PLACES)
def test_djangos_own_are_there_as_well(cast: Cast, place: str):
    told = cast.rita.client.get(place).headers
    assert (told["X-Content-Type-Options"], told["Referrer-Policy"]) == ("nosniff", "same-origin")
    assert told["Cross-Origin-Opener-Policy"] == "same-origin"
