"""Figures on the terminal, and whether they are the ones written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ml.manifest import Manifest
from ml.training.card import CARD_FILE, POPULATIONS, Figures, interval, render, rows_of_figures

# What comes from the tables is the same everywhere.
EXACT = 1e-6
FROM_TABLES = ("five_folds", "served/calibration", "served/refer/value", "served/high/value")
# The network is run again for the rest, and another processor rounds differently: figures move in the fourth place, and
# a photograph or two may change sides of a threshold. A share of few may then move further, and is named.
ROUNDING = 5e-4
CHANGED_SIDES = 2
SHARE = 0.01
SHARES = ("sensitivity", "specificity", "accuracy", "recall", "likelihood_ratio", "unscorable", "roc", "reliability")


def print_report(found: Figures) -> None:
    console = Console()
    for key, title in (("fold_0", "Fold 0, the network that is served"), ("five_folds", "Five folds")):
        parts = found[key]
        table = Table("", *POPULATIONS.values(), title=f"{title} ({found['intervals']})")
        counts = (f"{parts[name]['photographs']} ({parts[name]['malignant']} malignant)" for name in POPULATIONS)
        table.add_row("n", *counts)
        for row, values in rows_of_figures(parts):
            table.add_row(row, *(interval(value) for value in values))
        console.print(table)


def compare(found: Figures, stored: Figures) -> int:
    """0 when every figure is the stored one, else 1 and a line for each that is not.

    Parts that were not found this time are named in the verdict and not held against it.
    """
    missing = sorted(stored.keys() - found.keys())
    now, kept = dict(_leaves(found)), dict(_leaves({name: stored[name] for name in stored.keys() & found.keys()}))
    different = [
        f"{path}: {_said(now.get(path))} now, {_said(kept.get(path))} written down"
        for path in sorted(now.keys() | kept.keys())
        if not _close(path, now.get(path), kept.get(path))
    ]
    for line in different:
        print(line)
    but = f" Not looked at this time: {', '.join(missing)}." if missing else ""
    print(f"The figures written down are {'not ' if different else ''}reproduced.{but}")
    return 1 if different else 0


def card_follows(manifest: Manifest, stored: Figures, folder: Path) -> bool:
    """Whether the model's card says what manifest and evaluation say; a line where it does not."""
    follows = (folder / CARD_FILE).is_file() and (folder / CARD_FILE).read_text() == render(manifest, stored)
    if not follows:
        print(f"{folder / CARD_FILE} does not follow from the manifest and the evaluation.")
    return follows


def _said(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6g}"


def _close(path: str, now: float | None, kept: float | None) -> bool:
    if now is None or kept is None:
        return False
    if path.startswith(FROM_TABLES):
        allowed = EXACT
    elif isinstance(kept, int):
        allowed = CHANGED_SIDES
    else:
        allowed = SHARE if any(share in path for share in SHARES) else ROUNDING
    return abs(now - kept) <= allowed * max(1.0, abs(kept) if isinstance(kept, float) else 1.0)


def _leaves(found: Any, path: str = "") -> Iterator[tuple[str, int | float]]:
    """The numbers of nested dictionaries, lists and dataclasses, with where they stand."""
    if is_dataclass(found) and not isinstance(found, type):
        found = asdict(found)
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from _leaves(value, f"{path}/{key}" if path else str(key))
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from _leaves(value, f"{path}/{number}")
    elif isinstance(found, int | float):
        yield path, found
