"""The model card, written from the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.labels import DIAGNOSES
from ml.manifest import Manifest

CARD_FILE = "MODEL_CARD.md"
PARTS = {
    "one_photograph_per_lesion": "one photograph per lesion",
    "all_photographs": "all photographs",
    "histology_proven_benign_only": "per lesion, benign proven by histology only",
}
ROWS = {
    "auc": "AUC, malignant or pre-malignant",
    "oracle_specificity_at_95_sensitivity": "specificity at 95% sensitivity (oracle: cut chosen on the test fold)",
    "oracle_sensitivity_at_85.6_specificity": "sensitivity at 85.6% specificity (oracle)",
    "balanced_accuracy": "balanced accuracy, seven classes, as shown",
    "balanced_accuracy_before_calibration": "balanced accuracy, before calibration",
    "accuracy": "accuracy, seven classes, as shown",
    "expected_calibration_error": "expected calibration error, 15 bins of equal mass",
}


def write_card(manifest: Manifest, folder: Path) -> None:
    (folder / CARD_FILE).write_text(render(manifest))


def render(manifest: Manifest) -> str:
    sections = (
        _introduction(manifest),
        _data(manifest),
        _figures(manifest),
        _thresholds(manifest),
        _bands(manifest),
        _confusion(manifest),
        _cautions(manifest),
        _limits(manifest),
    )
    return "\n\n".join(sections) + "\n"


def _introduction(manifest: Manifest) -> str:
    recipe = manifest.training.get("recipe", {})
    return f"""# Model {manifest.version}

{manifest.network}. Made {manifest.created}; preprocessing {manifest.preprocessing}; network {manifest.network_sha256}.

**Intended use.** Research and education: a second look at one dermoscopic photograph of one lesion, beside a doctor
who decides. Not a medical device. The score is the calibrated probability of melanoma, basal cell carcinoma or
actinic keratosis / intraepithelial carcinoma ("malignant or pre-malignant").

**Training.** The whole network was fine-tuned from ImageNet weights for {recipe.get("epochs", "?")} epochs (batch
{recipe.get("batch", "?")}, AdamW {recipe.get("learning_rate", "?")}, cosine schedule, weighted loss, label smoothing
{recipe.get("label_smoothing", "?")}, averaged weights), normalisation statistics re-estimated, then frozen.
{_changes_of_plan(manifest)}""".rstrip()


def _changes_of_plan(manifest: Manifest) -> str:
    """A run that was stopped and resumed for another number of epochs followed two learning-rate schedules."""
    epochs = manifest.training.get("recipe", {}).get("epochs")
    strayed = [entry for entry in manifest.training.get("history", []) if entry.get("planned_epochs", epochs) != epochs]
    return " ".join(f"Epoch {entry['epoch']} followed a plan of {entry['planned_epochs']} epochs." for entry in strayed)


def _data(manifest: Manifest) -> str:
    data = manifest.training_data
    parts = "\n".join(
        f"| {name} | {part['photographs']} | {part['lesions']} |" for name, part in data.get("parts", {}).items()
    )
    counts = ", ".join(f"{name} {count}" for name, count in data.get("photographs_by_diagnosis", {}).items())
    return f"""## Data

{data.get("name")}: {counts}. {data.get("citation")}, doi:{data.get("doi")}. Licence: {data.get("licence")}.
Split by lesion, identical files and near-duplicate pictures (`splits.csv`). Calibration, thresholds and quality limits
come from the calibration part alone; the test part was opened after they were fixed.

| part | photographs | lesions |
|---|---|---|
{parts}"""


def _figures(manifest: Manifest) -> str:
    found = manifest.evaluation
    head = " | ".join(PARTS.values())
    lines = [
        f"| {title} | " + " | ".join(_interval(found[part][key]) for part in PARTS) + " |"
        for key, title in ROWS.items()
    ]
    counts = " | ".join(f"{found[part]['photographs']} ({found[part]['malignant']} malignant)" for part in PARTS)
    refused = found["unscorable_photographs"]
    body = "\n".join(lines)
    return f"""## Test figures (fold {found["fold"]}; {found["intervals"]})

| | {head} |
|---|---|---|---|
| n | {counts} |
{body}

Unscorable: {refused["count"]} of {refused["total"]} test photographs. They are scored like all others in the table."""


def _thresholds(manifest: Manifest) -> str:
    rows = []
    for name, threshold in (("refer", manifest.refer), ("high", manifest.high)):
        for part, title in PARTS.items():
            cut = manifest.evaluation[part][name]
            rows.append(
                f"| {name} ({threshold.value:.3f}) | {title} | {_interval(cut['sensitivity'])} "
                f"| {_interval(cut['melanoma_sensitivity'])} | {_interval(cut['specificity'])} |"
            )
    body = "\n".join(rows)
    return f"""## Attained by the thresholds

Refer: {manifest.refer.chosen}. High: {manifest.high.chosen}.

| threshold | on | sensitivity | of melanoma | specificity |
|---|---|---|---|---|
{body}"""


def _bands(manifest: Manifest) -> str:
    rows = "\n".join(
        f"| {name} | {band.malignant.count}/{band.malignant.total} | {band.benign.count}/{band.benign.total} "
        f"| {band.likelihood_ratio.value:.2f} ({band.likelihood_ratio.low:.2f}–{band.likelihood_ratio.high:.2f}) |"
        for name, band in manifest.bands.items()
    )
    return f"""## Bands (one photograph per test lesion)

| band | of the malignant | of the benign | likelihood ratio |
|---|---|---|---|
{rows}"""


def _confusion(manifest: Manifest) -> str:
    table = manifest.evaluation["one_photograph_per_lesion"]["confusion"]
    rows = "\n".join(
        f"| **{name}** | " + " | ".join(str(count) for count in row) + " |"
        for name, row in zip(DIAGNOSES, table, strict=True)
    )
    return f"""## True (rows) against shown (columns), one photograph per test lesion

| | {" | ".join(DIAGNOSES)} |
|---|{"---|" * len(DIAGNOSES)}
{rows}"""


def _cautions(manifest: Manifest) -> str:
    rules = "\n".join(f"- `{rule.code}`: {rule.sentence}" for rule in manifest.cautions)
    return f"""## Cautions

Shown above the score where the record says so; a low band is not shown there.

{rules}"""


def _limits(manifest: Manifest) -> str:
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in manifest.limits)


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"
