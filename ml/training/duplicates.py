"""Which photographs belong together: of one lesion, the same file, or nearly the same picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from ml.training.data import Photograph

# A pair is a near-duplicate where both say so: the gradient signs (of 256) and the grey thumbnails;
HASH_DISTANCE = 40
THUMBNAIL_CORRELATION = 0.985
# or where the ImageNet backbone sees the same. Of 96 pairs of different lesions at 0.92 and more, seven of the first
# twelve are the same lesion, shifted or in other light; below 0.93 they only resemble each other. To join too many
# costs nothing, to miss one leaks.
EMBEDDING_SIMILARITY = 0.92


def cluster_photographs(photographs: Sequence[Photograph], pixels: np.ndarray, embeddings: np.ndarray) -> list[str]:
    """One cluster name per photograph: same lesion, same bytes, or nearly the same picture, transitively.

    pixels: (n, height, width, 3) uint8; embeddings: (n, d), each of length 1.
    """
    union = _Union(len(photographs))
    union.join_groups(p.lesion_id for p in photographs)
    union.join_groups(hashlib.sha256(p.path.read_bytes()).hexdigest() for p in photographs)
    signs, thumbnails = _fingerprints(pixels)
    least_agreement = signs.shape[1] - 2 * HASH_DISTANCE
    for block in _blocks(len(photographs)):
        same_lines = signs[block] @ signs.T >= least_agreement
        same_light = thumbnails[block] @ thumbnails.T >= THUMBNAIL_CORRELATION
        alike = embeddings[block] @ embeddings.T >= EMBEDDING_SIMILARITY
        for row, column in zip(*np.nonzero((same_lines & same_light) | alike), strict=True):
            union.join(block.start + int(row), int(column))
    return [photographs[union.root(index)].image_id for index in range(len(photographs))]


def _blocks(size: int, length: int = 1000) -> Iterator[slice]:
    return (slice(start, min(start + length, size)) for start in range(0, size, length))


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
