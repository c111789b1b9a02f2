"""The photographs of a data folder, decoded, and split as a run's folder says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from ml.training import augment, network
from ml.training.data import (
    SPLITS_FILE,
    Collection,
    assign_splits,
    load_cache,
    matching_splits,
    read_photographs,
    write_splits,
)
from ml.training.duplicates import cluster_photographs

CACHE_VARIABLE = "SKINCLINIC_TRAINING_CACHE"
console = Console(stderr=True)


def load_collection(data: Path, run: Path, weights: Path | None) -> Collection:
    """Read the photographs; split them at the first time, and afterwards as `run`/splits.csv says.

    Decoded photographs (2.3 GB) are kept in the folder $SKINCLINIC_TRAINING_CACHE, or in `run`.
    """
    photographs = read_photographs(data)
    pixels = load_cache(photographs, Path(os.environ.get(CACHE_VARIABLE, run / "cache")))
    path = run / SPLITS_FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        console.print("Looking for near-duplicates before splitting.")
        embeddings = network.embeddings(_squares(pixels), weights)
        write_splits(path, assign_splits(photographs, cluster_photographs(photographs, pixels, embeddings)))
    return Collection(photographs, pixels, matching_splits(path, photographs))


def _squares(pixels: np.ndarray, batch: int = 64) -> Iterator[np.ndarray]:
    for start in track(range(0, len(pixels), batch), "Comparing photographs", console=console):
        yield augment.centre_squares(pixels, np.arange(start, min(start + batch, len(pixels))))
