"""schemathesis for as long as you like, over HTTP against a running clinic: `python bench/fuzz_api.py [--examples N]`.

Every operation of the schema is sent what it allows and what it does not. An answer of 500 or more, one that the schema
does not tell of, or one to a caller without a token is a failure; each is printed with the request that brought it.
"""

import argparse
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import schemathesis
from api import Caller, own_patient, wait_until_read
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import ROOT, photograph, running_stack

CONFIG = schemathesis.Config.from_path(ROOT / "schemathesis.toml")


LISTED = ("follow-ups", "outcomes", "reports", "webhooks")


@dataclass
class Asked:
    what: str
    cases: int = 0
    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    failure: str = ""


def fuzz(operation, caller: Caller, ids: dict[str, str], examples: int) -> Asked:
    from skinclinic.api.tests.test_schema import aim  # reads Django's settings

    asked = Asked(f"{operation.method.upper()} {operation.path}")
    phases = [Phase.explicit, Phase.generate, Phase.shrink]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples, deadline=None, phases=phases, suppress_health_check=list(HealthCheck), database=None
    )
    def one(case) -> None:
        if asked.cases % 2:
            aim(case, ids)
        headers = dict(case.headers or {}) | {"Authorization": caller.session.headers["Authorization"]}
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        answer = case.call(headers=headers)
        asked.cases += 1
        asked.statuses[answer.status_code] = asked.statuses.get(answer.status_code, 0) + 1
        case.validate_response(answer, headers=headers)

    began = time.monotonic()
    try:
        one()
    except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 (whatever it is, it is what this looks for)
        asked.failure = "\n".join(map(str, [failure, *getattr(failure, "exceptions", ())]))
    asked.seconds = time.monotonic() - began
    return asked


def sign_one(caller: Caller, cast) -> dict[str, str]:
    """One of everything, by the name of the resource: a photograph that was read and signed, and what came of it."""
    from screening.models import Screening
    from screening.services.reviews import Opinion
    from screening.tests.conftest import give, sign

    patient, visit, lesion = own_patient(caller)
    key = caller.upload(visit, lesion, photograph(1))["id"]
    wait_until_read(caller, key)
    with cast.in_north():
        screening = Screening.objects.select_related("visit").get(pk=key)
    give(cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sign(cast, screening.visit)
    caller.post("/api/v1/outcomes/", {"lesion": lesion, "diagnosis": "melanoma", "reported_on": "2026-01-01"})
    caller.post("/api/v1/webhooks/", {"url": "https://receiver.example/", "event_types": ["report.signed"]})
    listed = {name: caller.get(f"/api/v1/{name}/").json()["results"] for name in LISTED}
    found = {name: rows[0]["id"] for name, rows in listed.items()}
    return found | {"patients": patient, "visits": visit, "lesions": lesion, "screenings": key}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="of each operation")
    wanted = parser.parse_args()
    schemathesis.openapi.format("binary", st.just(photograph(7, 320, 240)))
    with running_stack(predictor="ml.fake.load") as stack:
        from conftest import make_cast

        cast = make_cast()
        caller = Caller(stack.address, cast.north)
        ids = sign_one(caller, cast)
        schema = schemathesis.openapi.from_url(f"{stack.address}/api/schema/?format=json", config=CONFIG)
        operations = [found.ok() for found in schema.include(path_regex="^/api/v1/").get_all_operations()]
        told = Console(stderr=True)
        rows = [
            fuzz(each, caller, ids, wanted.examples) for each in track(operations, description="Asking", console=told)
        ]
    return show(rows)


def show(rows: list[Asked]) -> int:
    table = Table("operation", "requests", "answers", "s")
    for row in rows:
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(row.statuses.items()))
        table.add_row(row.what, str(row.cases), answers, f"{row.seconds:.0f}")
    Console(width=120).print(table)
    failed = [row for row in rows if row.failure]
    for row in failed:
        print(f"\n{row.what}\n{row.failure[:4000]}")
    print(f"{sum(row.cases for row in rows):,} requests, {len(failed)} of {len(rows)} operations failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
