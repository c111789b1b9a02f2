"""What a model's papers say of the photographs behind it, counted from them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ml.labels import DIAGNOSES
from ml.training.cases import Cases
from ml.training.data import Part

TRAINING_DATA = {
    "name": "HAM10000",
    "citation": "Tschandl P., Rosendahl C., Kittler H., The HAM10000 dataset, Scientific Data 5, 180161 (2018)",
    "doi": "10.7910/DVN/DBW86T",
    "licence": "CC BY-NC 4.0 (non-commercial)",
}
LIMITS = (
    "Research and education only: not a medical device, not cleared anywhere, never a diagnosis by itself.",
    "Trained and tested on one collection from Austria and Australia, mostly light skin; skin type was not recorded.",
    (
        "Every malignant photograph of the collection is proven by histology, while many benign ones are followed-up "
        "nevi, which are easier: specificity against lesions that were worth excising is lower."
    ),
    (
        "Little or no test data: age under 20, palms, soles, nails, genital skin, mucosa. Invasive squamous cell "
        "carcinoma is not among the classes."
    ),
    "There is no patient identifier in the collection, so a patient may be both in training and in testing.",
    "Made for contact dermoscopy; clinical photographs by a telephone were not measured.",
    "Only the centred square of a photograph is read.",
)


def training_data(cases: Cases, part: Part, sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """cases: the whole collection; part: the served network's; sizes: of photographs that were read, in pixels."""
    photographs = cases.photographs
    (width, height), _ = Counter(sizes).most_common(1)[0]
    return {
        **TRAINING_DATA,
        "pixels": f"{width} x {height}",
        "sha256_of_photographs": digest(cases),
        "photographs_by_diagnosis": {name: int(cases.of(name).sum()) for name in DIAGNOSES},
        "lesions_by_diagnosis": {name: int(cases.of(name)[cases.one_per_lesion()].sum()) for name in DIAGNOSES},
        "unknown": {
            "age": sum(photograph.age is None for photograph in photographs),
            "sex": sum(photograph.sex in ("", "unknown") for photograph in photographs),
            "site": sum(photograph.localization in ("", "unknown") for photograph in photographs),
        },
        "parts": {
            name: {"photographs": len(rows), "lesions": len({photographs[row].lesion_id for row in rows})}
            for name, rows in asdict(part).items()
        },
    }


def digest(cases: Cases) -> str:
    """Of every photograph's name and file, so that another copy of the collection is known as another."""
    whole = hashlib.sha256()
    for photograph in sorted(cases.photographs, key=lambda photograph: photograph.image_id):
        whole.update(f"{photograph.image_id} {hashlib.sha256(photograph.path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def limits(cases: Cases) -> tuple[str, ...]:
    lesions, photographs = cases.malignant[cases.one_per_lesion()].mean(), cases.malignant.mean()
    held = (
        f"{lesions:.1%} of the collection's lesions and {photographs:.1%} of its photographs are malignant or "
        "pre-malignant; no predictive value of it holds in a clinic."
    )
    return (*LIMITS, held)
