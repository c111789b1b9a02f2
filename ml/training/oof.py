"""The tables of what five networks say of photographs that they never saw.

oof.csv: each photograph by the network of the fold that it is tested in, calibrated, as the portal would show it.
calibration.csv: the photographs that each fold's network is calibrated on, uncalibrated, as the network says them.
From both and splits.csv every figure over five folds can be had again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.labels import DIAGNOSES
from ml.training.data import DataError

OOF_FILE = "oof.csv"
CALIBRATION_FILE = "calibration.csv"
COLUMNS = ("image_id", "fold", *DIAGNOSES, "unscorable")


@dataclass(frozen=True)
class Row:
    """unscorable: the reasons why no band would be shown."""

    image_id: str
    fold: int
    probabilities: tuple[float, ...]
    unscorable: tuple[str, ...] = ()


def rows_of(
    fold: int, image_ids: Sequence[str], probabilities: np.ndarray, unscorable: Sequence[tuple[str, ...]] | None = None
) -> Iterator[Row]:
    reasons = unscorable or [()] * len(image_ids)
    for image_id, shares, why in zip(image_ids, probabilities, reasons, strict=True):
        yield Row(image_id, fold, tuple(float(share) for share in shares), why)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in sorted(rows, key=lambda row: (row.fold, row.image_id)):
            shares = (f"{share:.7g}" for share in row.probabilities)
            writer.writerow([row.image_id, row.fold, *shares, " ".join(row.unscorable)])


def read_rows(path: Path) -> list[Row]:
    """Raises DataError."""
    try:
        with path.open(newline="") as file:
            return [
                Row(
                    image_id=row["image_id"],
                    fold=int(row["fold"]),
                    probabilities=tuple(float(row[name]) for name in DIAGNOSES),
                    unscorable=tuple(row["unscorable"].split()),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is missing or damaged. Install the model again.") from error
