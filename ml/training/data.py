"""HAM10000 in its official layout: metadata, leak-free splits, and a cache of decoded photographs."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from ml.contract import ModelError
from ml.labels import DIAGNOSES
from ml.training.files import whole

FOLDS = 5
# The fold that no recipe is compared on; the network that is tested on it is the one that is served.
TEST_FOLD = 0
# Parts of each fold. One of them is taken out of the training folds to calibrate on (1/7 of the photographs).
SLICES = 7
CACHE_HEIGHT, CACHE_WIDTH = 240, 320
SPLITS_FILE = "splits.csv"
SPLIT_COLUMNS = ("image_id", "lesion_id", "cluster", "dx", "fold", "slice")


class DataError(ModelError):
    """The folder does not hold HAM10000 in its official layout."""


@dataclass(frozen=True)
class Photograph:
    image_id: str
    lesion_id: str
    dx: str
    dx_type: str
    age: float | None
    sex: str
    localization: str
    source: str
    path: Path

    @property
    def label(self) -> int:
        return DIAGNOSES.index(self.dx)


@dataclass(frozen=True)
class Split:
    image_id: str
    lesion_id: str
    cluster: str
    dx: str
    fold: int
    slice: int


@dataclass(frozen=True)
class Part:
    """Row numbers of the photographs to learn from, to calibrate on, and to test on; no cluster is in two of them."""

    training: np.ndarray
    calibration: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Collection:
    """All photographs with their pixels (n, 240, 320, 3) uint8 and their places, row by row."""

    photographs: list[Photograph]
    pixels: np.ndarray
    splits: list[Split]

    @cached_property
    def labels(self) -> np.ndarray:
        return np.array([photograph.label for photograph in self.photographs])

    def part(self, fold: int, calibration_slice: int | None = None) -> Part:
        return part_of(self.splits, fold, calibration_slice)


def calibration_slice_of(fold: int) -> int:
    """What the network that is tested on `fold` is calibrated on.

    Another slice for each, so that a hard one does not shift the thresholds of all five alike; counted from the last,
    since recipes are compared on the first ones.
    """
    return SLICES - 1 - fold


def part_of(splits: Sequence[Split], fold: int, calibration_slice: int | None = None) -> Part:
    """Test on `fold`, calibrate on one slice of the other four (that of the fold unless told), learn from the rest."""
    folds, slices = np.array([[split.fold, split.slice] for split in splits]).T
    left_out = calibration_slice_of(fold) if calibration_slice is None else calibration_slice
    outside, sliced = folds != fold, slices == left_out
    return Part(
        training=np.flatnonzero(outside & ~sliced),
        calibration=np.flatnonzero(outside & sliced),
        test=np.flatnonzero(~outside),
    )


def read_photographs(folder: Path) -> list[Photograph]:
    """The rows of the metadata with their files, sorted by image id. Raises DataError."""
    table = next(iter(sorted(folder.glob("HAM10000_metadata*"))), None)
    if table is None:
        raise DataError(f"{folder} holds no HAM10000_metadata.csv. Name the data set's folder with --data.")
    paths = {path.stem: path for path in sorted(folder.glob("*/ISIC_*.jpg"))}
    try:
        with table.open(newline="") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: row["image_id"])
        missing = [row["image_id"] for row in rows if row["image_id"] not in paths]
        found = [_photograph(row, paths[row["image_id"]]) for row in rows if row["image_id"] in paths]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{table} is damaged or of another layout. Fetch the data set again.") from error
    if missing:
        raise DataError(
            f"{len(missing)} of {len(rows)} photographs are missing in {folder}, the first is {missing[0]}. "
            "Unpack all of the data set's pictures there."
        )
    if not found:
        raise DataError(f"{table} names no photographs. Fetch the data set again.")
    return found


def _photograph(row: Mapping[str, str], path: Path) -> Photograph:
    if row["dx"] not in DIAGNOSES:
        raise ValueError(f"No diagnosis of HAM10000: {row['dx']}")
    return Photograph(
        image_id=row["image_id"],
        lesion_id=row["lesion_id"],
        dx=row["dx"],
        dx_type=row["dx_type"],
        age=float(row["age"]) if row["age"] else None,
        sex=row["sex"],
        localization=row["localization"],
        source=row.get("dataset", ""),
        path=path,
    )


def load_cache(photographs: Sequence[Photograph], folder: Path) -> np.ndarray:
    """All photographs as one uint8 memory map (n, 240, 320, 3), decoded once into `folder`.

    Files that are replaced are decoded again. Several programs may ask for the same cache at once.
    """
    known = hashlib.sha256(f"{CACHE_WIDTH} x {CACHE_HEIGHT}\n".encode())
    for photograph in photographs:
        file = photograph.path.stat()
        known.update(f"{photograph.path.resolve()} {file.st_size} {file.st_mtime_ns}\n".encode())
    path = folder / f"photographs-{known.hexdigest()[:12]}.npy"
    if not path.exists():
        with whole(path) as partial:
            _decode_all(photographs, partial)
    return np.load(path, mmap_mode="r")


def _decode_all(photographs: Sequence[Photograph], path: Path) -> None:
    shape = (len(photographs), CACHE_HEIGHT, CACHE_WIDTH, 3)
    cache = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with ThreadPoolExecutor(2) as pool:
        decoded = pool.map(_decode, (photograph.path for photograph in photographs))
        for index, pixels in enumerate(track(decoded, "Decoding photographs", total=len(photographs))):
            cache[index] = pixels
    cache.flush()


def _decode(path: Path) -> np.ndarray:
    with Image.open(path) as photograph:
        photograph.draft("RGB", (2 * CACHE_WIDTH, 2 * CACHE_HEIGHT))
        rgb = photograph.convert("RGB")
    if rgb.size != (CACHE_WIDTH, CACHE_HEIGHT):
        rgb = rgb.resize((CACHE_WIDTH, CACHE_HEIGHT), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def assign_splits(photographs: Sequence[Photograph], clusters: Sequence[str], seed: int = 2026) -> list[Split]:
    """Five folds and in each of them seven slices: whole clusters only, each diagnosis spread evenly.

    The same input gives the same splits. A cluster counts for its rarest diagnosis.
    """
    members: dict[str, list[Photograph]] = defaultdict(list)
    for photograph, cluster in zip(photographs, clusters, strict=True):
        members[cluster].append(photograph)
    frequency = Counter(p.dx for p in photographs)
    rarest = {name: min((p.dx for p in group), key=lambda dx: frequency[dx]) for name, group in members.items()}
    order = sorted(members)
    np.random.default_rng(seed).shuffle(order)
    # Big clusters go first so that small ones can level the parts.
    order.sort(key=lambda name: -len(members[name]))
    sizes = {name: len(group) for name, group in members.items()}
    fold_of = _spread(order, sizes, rarest, FOLDS)
    slice_of: dict[str, int] = {}
    for fold in range(FOLDS):
        slice_of |= _spread([name for name in order if fold_of[name] == fold], sizes, rarest, SLICES)
    return [
        Split(p.image_id, p.lesion_id, c, p.dx, fold_of[c], slice_of[c])
        for p, c in zip(photographs, clusters, strict=True)
    ]


def _spread(order: Sequence[str], sizes: Mapping[str, int], rarest: Mapping[str, str], parts: int) -> dict[str, int]:
    """Each cluster, in this order, into the part that holds the fewest photographs of its diagnosis."""
    load = {dx: [0] * parts for dx in DIAGNOSES}
    placed: dict[str, int] = {}
    for name in order:
        counts = load[rarest[name]]
        placed[name] = counts.index(min(counts))
        counts[placed[name]] += sizes[name]
    return placed


def write_splits(path: Path, splits: Sequence[Split]) -> None:
    with whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SPLIT_COLUMNS)
        writer.writerows((s.image_id, s.lesion_id, s.cluster, s.dx, s.fold, s.slice) for s in splits)


def read_splits(path: Path) -> list[Split]:
    """Raises DataError."""
    try:
        with path.open(newline="") as file:
            return [
                Split(
                    image_id=row["image_id"],
                    lesion_id=row["lesion_id"],
                    cluster=row["cluster"],
                    dx=row["dx"],
                    fold=int(row["fold"]),
                    slice=int(row["slice"]),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is missing or damaged. Train or install again.") from error


def matching_splits(path: Path, photographs: Sequence[Photograph]) -> list[Split]:
    """Raises DataError when `path` does not split these photographs."""
    splits = read_splits(path)
    if [split.image_id for split in splits] != [photograph.image_id for photograph in photographs]:
        raise DataError(f"{path} splits other photographs than those given. Name the data that it was made of.")
    return splits
