"""What can go wrong, as sentences."""

from collections.abc import Sequence
from typing import Any


class ClinicProblem(Exception):
    """The base of all that this package raises on purpose."""


class Unreachable(ClinicProblem):
    """No answer after several tries; what was asked for may be sent again."""


class Refused(ClinicProblem):
    """The clinic says no.

    status: of HTTP. kind: the problem's `type`, as `urn:skinclinic:problem:…` or `about:blank`.
    fields: its `errors`, each with `field` and `detail`.
    """

    def __init__(
        self, status: int, sentence: str, *, kind: str = "about:blank", fields: Sequence[dict[str, str]] = ()
    ) -> None:
        super().__init__(" ".join([sentence, *(f"{each['field']}: {each['detail']}" for each in fields)]).strip())
        self.status, self.kind, self.fields = status, kind, list(fields)

    @classmethod
    def of(cls, status: int, told: Any) -> "Refused":
        """told: the problem document, or whatever else came in its place."""
        if not isinstance(told, dict):
            return cls(status, f"The answer was {status}, without a reason.")
        sentence = str(told.get("detail") or told.get("error_description") or told.get("error") or told.get("title"))
        return cls(status, sentence, kind=told.get("type", "about:blank"), fields=told.get("errors", []))
