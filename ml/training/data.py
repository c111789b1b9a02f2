"""HAM10000 in its official layout: metadata, leak-free folds, and a cache of decoded photographs."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from ml.contract import ModelError
from ml.labels import DIAGNOSES

FOLDS = 5
TEST_FOLD = 0
VALIDATION_FOLD = 1
TRAINING_FOLDS = (2, 3, 4)
CACHE_HEIGHT, CACHE_WIDTH = 240, 320
SPLIT_COLUMNS = ("image_id", "lesion_id", "cluster", "dx", "fold")

# A pair is a near-duplicate where both say so: the gradient signs (of 256) and the grey thumbnails.
HASH_DISTANCE = 40
THUMBNAIL_CORRELATION = 0.985


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


def read_photographs(folder: Path) -> list[Photograph]:
    """The rows of the metadata whose photograph is there, sorted by image id. Raises DataError."""
    table = next(iter(sorted(folder.glob("HAM10000_metadata*"))), None)
    if table is None:
        raise DataError(f"{folder} holds no HAM10000_metadata.csv. Name the data set's folder with --data.")
    paths = {path.stem: path for path in sorted(folder.glob("*/ISIC_*.jpg"))}
    with table.open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["image_id"])
    missing = [row["image_id"] for row in rows if row["image_id"] not in paths]
    if missing or not rows:
        raise DataError(
            f"{len(missing)} of {len(rows)} photographs are missing in {folder}, the first is {missing[:1]}."
        )
    return [_photograph(row, paths[row["image_id"]]) for row in rows]


def _photograph(row: dict[str, str], path: Path) -> Photograph:
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
    """All photographs as one uint8 memory map (n, 240, 320, 3), decoded once into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\n".join(str(p.path) for p in photographs).encode()).hexdigest()[:12]
    array_path, done_path = folder / f"photographs-{key}.npy", folder / f"photographs-{key}.json"
    shape = (len(photographs), CACHE_HEIGHT, CACHE_WIDTH, 3)
    if done_path.exists():
        return np.load(array_path, mmap_mode="r")
    cache = np.lib.format.open_memmap(array_path, mode="w+", dtype=np.uint8, shape=shape)
    with ThreadPoolExecutor(2) as pool:
        decoded = pool.map(_decode, (p.path for p in photographs))
        for index, pixels in enumerate(track(decoded, "Decoding photographs", total=len(photographs))):
            cache[index] = pixels
    cache.flush()
    done_path.write_text(json.dumps({"photographs": len(photographs)}))
    return np.load(array_path, mmap_mode="r")


def _decode(path: Path) -> np.ndarray:
    with Image.open(path) as photograph:
        photograph.draft("RGB", (2 * CACHE_WIDTH, 2 * CACHE_HEIGHT))
        rgb = photograph.convert("RGB")
    if rgb.size != (CACHE_WIDTH, CACHE_HEIGHT):
        rgb = rgb.resize((CACHE_WIDTH, CACHE_HEIGHT), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def cluster_photographs(photographs: Sequence[Photograph], pixels: np.ndarray) -> list[str]:
    """One cluster name per photograph: same lesion, same bytes, or nearly the same picture, transitively."""
    union = _Union(len(photographs))
    union.join_groups(p.lesion_id for p in photographs)
    union.join_groups(hashlib.sha256(p.path.read_bytes()).hexdigest() for p in photographs)
    for first, second in near_duplicates(pixels):
        union.join(first, second)
    return [photographs[union.root(index)].image_id for index in range(len(photographs))]


def near_duplicates(pixels: np.ndarray) -> Iterator[tuple[int, int]]:
    """Index pairs of (n, height, width, 3) uint8 pictures that are nearly the same."""
    signs, thumbnails = _fingerprints(pixels)
    least_agreement = signs.shape[1] - 2 * HASH_DISTANCE
    for start in range(0, len(signs), 1000):
        block = slice(start, start + 1000)
        similar = (signs[block] @ signs.T >= least_agreement) & (
            thumbnails[block] @ thumbnails.T >= THUMBNAIL_CORRELATION
        )
        for row, column in zip(*np.nonzero(similar), strict=True):
            if start + row < column:
                yield int(start + row), int(column)


def _fingerprints(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    signs, thumbnails = [], []
    for picture in pixels:
        grey = Image.fromarray(picture).convert("L")
        steps = np.diff(np.asarray(grey.resize((17, 16), Image.Resampling.BOX), dtype=np.int16), axis=1)
        signs.append(np.where(steps >= 0, 1, -1).ravel())
        small = np.asarray(grey.resize((32, 24), Image.Resampling.BOX), dtype=np.float32).ravel()
        small = small - small.mean()
        thumbnails.append(small / (np.linalg.norm(small) + 1e-6))
    return np.array(signs, dtype=np.float32), np.array(thumbnails, dtype=np.float32)


class _Union:
    """Disjoint sets of indices; the root is the smallest index, so names do not depend on the order of joins."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.root(first), self.root(second)))
        self._parent[high] = low

    def join_groups(self, keys: Iterable[str]) -> None:
        seen: dict[str, int] = {}
        for index, key in enumerate(keys):
            self.join(seen.setdefault(key, index), index)


def assign_folds(photographs: Sequence[Photograph], clusters: Sequence[str], seed: int = 2026) -> list[Split]:
    """Five folds, whole clusters only, each diagnosis spread evenly. The same input gives the same folds."""
    members: dict[str, list[Photograph]] = defaultdict(list)
    for photograph, cluster in zip(photographs, clusters, strict=True):
        members[cluster].append(photograph)
    frequency = Counter(p.dx for p in photographs)
    rng = np.random.default_rng(seed)
    order = sorted(members)
    rng.shuffle(order)
    # A cluster counts for its rarest diagnosis; big clusters go first so that small ones can level the folds.
    rarest = {name: min((p.dx for p in members[name]), key=lambda dx: frequency[dx]) for name in order}
    load = {dx: [0] * FOLDS for dx in DIAGNOSES}
    fold_of: dict[str, int] = {}
    for name in sorted(order, key=lambda name: -len(members[name])):
        counts = load[rarest[name]]
        fold = counts.index(min(counts))
        counts[fold] += len(members[name])
        fold_of[name] = fold
    return [Split(p.image_id, p.lesion_id, c, p.dx, fold_of[c]) for p, c in zip(photographs, clusters, strict=True)]


def write_splits(path: Path, splits: Sequence[Split]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SPLIT_COLUMNS)
        writer.writerows((s.image_id, s.lesion_id, s.cluster, s.dx, s.fold) for s in splits)


def read_splits(path: Path) -> list[Split]:
    with path.open(newline="") as file:
        return [
            Split(row["image_id"], row["lesion_id"], row["cluster"], row["dx"], int(row["fold"]))
            for row in csv.DictReader(file)
        ]
