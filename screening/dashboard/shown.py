"""Estimates as a page shows them."""

from collections.abc import Mapping

from django.utils.translation import gettext as _

from skinclinic.text import decimal

FEWEST = 5  # what is rarer is not shown
UNDEFINED = "–"

Shown = Mapping[str, float | None]


def hidden_below(count: int) -> str:
    return str(count) if count >= FEWEST else f"<{FEWEST}"


def share(estimate: Shown) -> str:
    """In per cent, with its interval; a dash where it is not defined."""
    return said(estimate, 100, ".0f", _("%(value)s %% (%(low)s to %(high)s)"))


def number(estimate: Shown) -> str:
    return said(estimate, 1, ".2f", _("%(value)s (%(low)s to %(high)s)"))


def said(estimate: Shown, times: float, shape: str, sentence: str) -> str:
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None or low is None or high is None:
        return UNDEFINED
    shown = {name: decimal(times * end, shape) for name, end in (("value", value), ("low", low), ("high", high))}
    return sentence % shown
