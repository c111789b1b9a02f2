"""Figures on the terminal, and whether they are the ones written down."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from ml.training.card import PARTS, ROWS

# The same files on another processor round differently; figures may move in the fourth place.
AGREEMENT = 2e-3


def print_report(found: dict[str, Any]) -> None:
    table = Table("", *PARTS.values(), title=f"Fold {found['fold']} ({found['intervals']})")
    table.add_row("n", *(f"{found[part]['photographs']} ({found[part]['malignant']} malignant)" for part in PARTS))
    for key, title in ROWS.items():
        table.add_row(title, *(_interval(found[part][key]) for part in PARTS))
    for cut in ("refer", "high"):
        for kind in ("sensitivity", "melanoma_sensitivity", "specificity"):
            title = f"{cut}: attained {kind.replace('_', ' ')}"
            table.add_row(title, *(_interval(found[part][cut][kind]) for part in PARTS))
    console = Console()
    console.print(table)
    refused = found["unscorable_photographs"]
    console.print(f"Unscorable: {refused['count']} of {refused['total']} photographs.")


def compare(found: dict[str, Any], stored: dict[str, Any]) -> int:
    """0 when every figure is the one in the manifest, else 1 and a line for each that is not."""
    different = [
        f"{part}, {ROWS[key]}: {found[part][key]['value']:.4f} now, {stored[part][key]['value']:.4f} in the manifest"
        for part in PARTS
        for key in ROWS
        if not abs(found[part][key]["value"] - stored[part][key]["value"]) <= AGREEMENT
    ]
    for line in different:
        print(line)
    print("The manifest's figures are not reproduced." if different else "The manifest's figures are reproduced.")
    return 1 if different else 0


def _interval(found: dict[str, float]) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"
