"""The model card: figures and settings of the manifest and the evaluation, in words that hold of every release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml.labels import DIAGNOSES
from ml.manifest import REPEAT_RANGE, Manifest

CARD_FILE = "MODEL_CARD.md"
POPULATIONS = {
    "one_photograph_per_lesion": "one photograph per lesion",
    "all_photographs": "all photographs",
    "histology_proven_benign_only": "per lesion, benign proven by histology only",
}
TARGETS = {
    "malignant": "malignant or pre-malignant",
    "melanoma": "melanoma against benign",
    "without_akiec": "without akiec",
}
PICTURES = """![ROC](roc.png)
![Reliability](reliability.png)
![Confusion](confusion.png)
![Decision curves](decision.png)"""
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """What was asked of one photograph per lesion over five folds before the model was made."""

    title: str
    path: tuple[str, ...]
    limit: float
    at_most: bool = False

    def value(self, found: Figures) -> float:
        part = found["five_folds"]["one_photograph_per_lesion"]
        for key in self.path:
            part = part[key]
        return float(part["value"])

    def met(self, found: Figures) -> bool:
        return self.value(found) <= self.limit if self.at_most else self.value(found) >= self.limit


BARS = (
    Bar("AUC", ("targets", "malignant", "auc"), 0.935),
    Bar(
        "specificity at 95% sensitivity (oracle)", ("targets", "malignant", "oracle_specificity_at_95_sensitivity"), 0.7
    ),
    Bar(
        "sensitivity at 85.6% specificity (oracle)",
        ("targets", "malignant", "oracle_sensitivity_at_85.6_specificity"),
        0.85,
    ),
    Bar("balanced accuracy, seven classes", ("diagnosis", "balanced_accuracy"), 0.75),
    Bar("expected calibration error", ("calibration", "expected_calibration_error"), 0.03, at_most=True),
)


def write_card(manifest: Manifest, found: Figures, folder: Path) -> None:
    (folder / CARD_FILE).write_text(render(manifest, found))


def render(manifest: Manifest, found: Figures) -> str:
    """found: the evaluation as it was written down."""
    folds = found["five_folds"]
    sections = (
        _introduction(manifest),
        _data(manifest),
        _protocol(manifest),
        _bars(found),
        _main_table("Five folds: every photograph by the network that did not see it", folds, found["intervals"]),
        PICTURES,
        _folds(folds["by_fold"]),
        _main_table("Fold 0: the network that is served", found["fold_0"], found["intervals"]),
        _thresholds(manifest),
        _bands(manifest),
        _unscorable(folds["one_photograph_per_lesion"]),
        _confusion(folds["one_photograph_per_lesion"]["confusion"]),
        _lesions(folds, manifest),
        _groups(folds["groups"]),
        *([_sources(found["left_out_sources"])] if "left_out_sources" in found else []),
        _robustness(found["robustness"]),
        _cautions(manifest),
        _limits(manifest),
        CHECKLISTS,
    )
    return "\n\n".join(sections) + "\n"


def _introduction(manifest: Manifest) -> str:
    return f"""# Model {manifest.version}

{manifest.network}. Made {manifest.created}; preprocessing {manifest.preprocessing}; network {manifest.network_sha256}.

**Intended use.** Research and education: a second look at one dermoscopic photograph of one lesion, beside a doctor
who decides. Not a medical device, never a diagnosis by itself. Its users are clinicians trained in dermoscopy and
researchers. Out of scope: lesions that nobody would photograph by dermoscopy, photographs by a telephone without a
dermatoscope, triage without a doctor, and the grounds under "Cautions" and "Limits".

**What it says.** The score is the calibrated probability of melanoma, basal cell carcinoma or actinic keratosis /
intraepithelial carcinoma ("malignant or pre-malignant"), with the seven diagnoses of HAM10000, a band, an activation
map (linear head before the pooling), and whether the photograph can be read at all. A clinic's counts behind a band are
expected from its own share of malignant lesions, never taken from this collection."""


def _data(manifest: Manifest) -> str:
    data = manifest.training_data
    parts = "\n".join(f"| {name} | {part['photographs']} | {part['lesions']} |" for name, part in data["parts"].items())
    lesions, unknown = data["lesions_by_diagnosis"], data["unknown"]
    counts = ", ".join(
        f"{name} {count} ({lesions.get(name)})" for name, count in data["photographs_by_diagnosis"].items()
    )
    return f"""## Data

{data["name"]}, photographs (lesions): {counts}.
{data["citation"]}, doi:{data["doi"]}. Licence: {data["licence"]}.
Dermoscopic photographs of patients in Vienna and Queensland, collected over 20 years with several devices. Reference:
histology, follow-up, consensus of experts or confocal microscopy; every malignant one is proven by histology. Skin type
was not recorded; skin is mostly light. Age, sex and site are not given to the network; age is unknown for
{unknown["age"]} photographs, sex for {unknown["sex"]} and site for {unknown["site"]}, which are groups of
their own below. Nothing was left out.

Training, calibration and tests read copies of {data["pixels"]} pixels (sha256 of all of them, by name:
`{data["sha256_of_photographs"]}`). Larger photographs are reduced to the same square before they are read.

Photographs of one lesion, identical files and near-duplicates (perceptual hash, or cosine of ImageNet embeddings of
0.92 and more) are one cluster and never in two parts (`splits.csv`). For fold 0, whose network is served:

| part | photographs | lesions |
|---|---|---|
{parts}"""


def _protocol(manifest: Manifest) -> str:
    return f"""## Training and protocol

The whole network is fine-tuned from ImageNet weights. {_recipe(manifest.training["recipe"])}

The recipe was chosen on inner splits of folds 1 to 4 (docs/model.md), then run once over the five folds. Each network
learns from six sevenths of four folds; its calibration, its thresholds and its limits of sharpness and of what is
dermoscopy come from the other seventh (`calibration.csv`, a photograph as the network says it); the fifth fold is then
read once (`oof.csv`). The limits of light, contrast and colour are constants (`ml/training/calibrate.py`).

Photographs of folds 1 to 4 thus had a say in the recipe, though none in the weights, the calibration or the thresholds
that they are tested by. Recipes were compared on their slices 0 to 2; the served network is calibrated on slice
{manifest.training["calibration_slice"]}. Fold 0 is never read to compare recipes or to make the network that is served,
and stands beside the others under "Fold by fold". What earlier releases showed of any fold was known when the recipe
was sought: OPENINGS.md has each look.

A reading is the mean over these views of a photograph: {", ".join(manifest.views)}."""


def _recipe(recipe: Figures) -> str:
    """A manifest names the settings that its program knew."""
    sides = ", ".join(f"{epochs} epochs at {side} pixels" for side, epochs in recipe["sides"])
    adjusted, beside = recipe.get("logit_adjustment", 0.0), recipe.get("malignancy_loss", 0.0)
    drawn = ", ".join(f"{name} {recipe[name]}" for name in ("strength", "light", "noise") if name in recipe)
    settings = [
        sides,
        f"batch {recipe['batch']}",
        f"AdamW {recipe['learning_rate']} on a cosine, weight decay {recipe['weight_decay']}",
        f"class weights of frequency to the power of -{recipe['balance']}" if recipe["balance"] else "",
        f"{adjusted} x the logarithm of its share added to each class's logit in the loss" if adjusted else "",
        f"malignant against benign in the loss as well (x {beside})" if beside else "",
        f"label smoothing {recipe['label_smoothing']}",
        f"photographs mixed by Beta({recipe['mixup']}, {recipe['mixup']})" if recipe.get("mixup") else "",
        f"running average of the weights ({recipe['average_momentum']})",
        "batch normalisation re-estimated, then frozen",
        f"crops from {recipe['smallest_crop']} of the height, turns, flips",
        f"light, blur, JPEG, hair, rulers and marker lines at random ({drawn})",
    ]
    return "; ".join(setting for setting in settings if setting) + "."


def _bars(found: Figures) -> str:
    rows = "\n".join(
        f"| {bar.title} | {'at most' if bar.at_most else 'at least'} {bar.limit} | {bar.value(found):.3f} "
        f"| {'met' if bar.met(found) else '**missed**'} |"
        for bar in BARS
    )
    targets = found["five_folds"]["one_photograph_per_lesion"]["targets"]
    attained = {
        title: targets[name]["attained"]["refer"]["sensitivity"]
        for name, title in (("malignant", "malignant or pre-malignant"), ("melanoma", "melanoma alone"))
    }
    rows += "".join(
        f'\n| sensitivity that "refer" attains, {title} | interval holds 0.95 | {interval(share)} '
        f"| {'met' if share['low'] <= 0.95 <= share['high'] else '**missed**'} |"
        for title, share in attained.items()
    )
    return f"""## What was asked of it beforehand

| one photograph per lesion, five folds | asked | found | |
|---|---|---|---|
{rows}

"Refer" is the lower of the two cuts that find 95% of the malignant lesions and 95% of the melanomas, which are harder
to find: where the melanomas' cut is the lower one, more than 95% of the malignant lesions are referred by design."""


def rows_of_figures(parts: Figures) -> Iterator[tuple[str, list[Figures | None]]]:
    """(title, one interval per population) of the main table."""

    def across(*path: str) -> list[Figures | None]:
        found: list[Figures | None] = []
        for population in POPULATIONS:
            part: Any = parts[population]
            for key in path:
                part = part and part.get(key)
            found.append(part)
        return found

    for target, title in TARGETS.items():
        yield f"AUC, {title}", across("targets", target, "auc")
        for name in ("refer", "high"):
            for side in ("sensitivity", "specificity"):
                yield f"{name}: attained {side}, {title}", across("targets", target, "attained", name, side)
        oracle = across("targets", target, "oracle_specificity_at_95_sensitivity")
        yield f"oracle specificity at 95% sensitivity, {title}", oracle
        oracle = across("targets", target, "oracle_sensitivity_at_85.6_specificity")
        yield f"oracle sensitivity at 85.6% specificity, {title}", oracle
    yield "balanced accuracy, seven classes", across("diagnosis", "balanced_accuracy")
    yield "accuracy, seven classes", across("diagnosis", "accuracy")
    # The third population has none: its benign lesions were chosen.
    yield "expected calibration error, 15 bins of equal mass", across("calibration", "expected_calibration_error")
    yield "malignant share, observed less expected", across("calibration", "in_the_large")
    yield "calibration slope", across("calibration", "slope")
    yield "calibration intercept", across("calibration", "intercept")


def _main_table(title: str, parts: Figures, intervals: str) -> str:
    counts = " | ".join(f"{parts[name]['photographs']} ({parts[name]['malignant']} malignant)" for name in POPULATIONS)
    body = "\n".join(
        f"| {row} | " + " | ".join(interval(value) for value in values) + " |" for row, values in rows_of_figures(parts)
    )
    return f"""## {title}

Intervals: {intervals}; of these networks, so without the spread that training anew would bring.
Those of a share that few hit or few miss are no narrower than Wilson's for as many clusters; the calibration error's
are moved back by what redrawing alone adds to it. "Attained": by the threshold fixed beforehand. "Oracle": the cut is
chosen on these very photographs, for comparison only. Unscorable photographs are scored like all others here.

| | {" | ".join(POPULATIONS.values())} |
|---|---|---|---|
| n | {counts} |
{body}"""


def _folds(found: Figures) -> str:
    rows = "\n".join(
        f"| {name} | {row['photographs']} ({row['malignant']}) | {row['auc']:.3f} | {row['sensitivity']:.3f} "
        f"| {row['specificity']:.3f} | {row['oracle_specificity_at_95_sensitivity']:.3f} "
        f"| {row['balanced_accuracy']:.3f} | {row['expected_calibration_error']:.3f} | {row['unscorable']} |"
        for name, row in found.items()
    )
    return f"""## Fold by fold (one photograph per lesion)

Sensitivity and specificity are those that "refer" attains. The recipe was chosen on slices of folds 1 to 4.

| | lesions (malignant) | AUC | sensitivity | specificity | oracle specificity at 95% | balanced | ECE | refused |
|---|---|---|---|---|---|---|---|---|
{rows}"""


def _thresholds(manifest: Manifest) -> str:
    rows = "\n".join(
        f"| {name} | {threshold.value:.4f} | {interval(asdict(threshold.sensitivity))} "
        f"| {interval(asdict(threshold.melanoma_sensitivity))} | {interval(asdict(threshold.specificity))} "
        f"| {threshold.chosen} |"
        for name, threshold in (("refer", manifest.refer), ("high", manifest.high))
    )
    return f"""## Thresholds that are served, and what they attain on fold 0 (one photograph per lesion)

| threshold | score | sensitivity | of melanoma | specificity | chosen on |
|---|---|---|---|---|---|
{rows}"""


def _bands(manifest: Manifest) -> str:
    rows = "\n".join(
        f"| {name} | {band.malignant.count}/{band.malignant.total} | {band.benign.count}/{band.benign.total} "
        f"| {band.likelihood_ratio.value:.2f} ({band.likelihood_ratio.low:.2f}–{band.likelihood_ratio.high:.2f}) |"
        for name, band in manifest.bands.items()
    )
    return f"""## Bands (fold 0, one photograph per lesion)

The ratio of the two shares, with its log-normal interval (Simel and others 1991, which counts lesions and no clusters);
half a lesion is added where one of them is empty.

| band | of the malignant | of the benign | likelihood ratio |
|---|---|---|---|
{rows}"""


def _unscorable(parts: Figures) -> str:
    table = parts["at_refer"]
    rows = "\n".join(
        f"| {name} | {table[name]['refer']} | {table[name]['do_not_refer']} | {table[name]['unscorable']} |"
        for name in ("malignant", "benign")
    )
    counted = "\n".join(
        f"| {title} | {interval(table[key]['sensitivity'])} | {interval(table[key]['specificity'])} |"
        for title, key in (
            ("as referred", "unscorable_counted_as_referred"),
            ("as not referred", "unscorable_counted_as_missed"),
        )
    )
    return f"""## The deployed decision, unscorable apart (five folds, one photograph per lesion)

What the gate stops of other pictures, and of spoilt ones, stands in docs/model.md (`bench/fitness.py`).

| | refer | do not refer | unscorable |
|---|---|---|---|
{rows}

| unscorable counted | sensitivity | specificity |
|---|---|---|
{counted}"""


def _confusion(table: list[list[int]]) -> str:
    rows = "\n".join(
        f"| **{name}** | " + " | ".join(str(count) for count in row) + " |"
        for name, row in zip(DIAGNOSES, table, strict=True)
    )
    return f"""## True (rows) against shown (columns), five folds, one photograph per lesion

| | {" | ".join(DIAGNOSES)} | unscorable |
|---|{"---|" * (len(DIAGNOSES) + 1)}
{rows}"""


def _served_repeat(manifest: Manifest) -> str:
    if not manifest.repeat_deviation:
        return ""
    return f""" Of the network
that is served, on fold 0, it deviates by {interval(asdict(manifest.repeat_deviation))}. Two photographs of an unchanged
lesion differ by less than {REPEAT_RANGE:.2f} times as much in 95 of 100 cases (Bland and Altman 1999): the portal says
so where a score is seen to change."""


def _lesions(folds: Figures, manifest: Manifest) -> str:
    repeated, highest = folds["repeatability"], folds["highest_band_of_lesion"]
    rows = "\n".join(
        f"| {name} | {interval(highest[name]['sensitivity'])} | {interval(highest[name]['specificity'])} |"
        for name in ("refer", "high")
    )
    several = folds["lesions_of_several"]
    often = "\n".join(
        f"| {title}: {name} | {part['lesions']} ({part['malignant']}) | {interval(part[name]['sensitivity'])} "
        f"| {interval(part[name]['specificity'])} |"
        for title, part in (("highest of them", several["highest"]), ("the one that is drawn", several["one"]))
        for name in ("refer", "high")
    )
    return f"""## Several photographs of one lesion (five folds)

{repeated["lesions"]} lesions have two photographs or more. Within a lesion the logit of the score deviates by
{interval(repeated["deviation_of_logit"])}; of {repeated["pairs"]} pairs of siblings that can both be read a share of
{interval(repeated["pairs_in_other_bands"])} lies in different bands.{_served_repeat(manifest)}

A lesion's band as the highest of its photographs ({highest["lesions"]} lesions, {highest["malignant"]} malignant;
{highest["unscorable"]} more have no photograph that can be read):

| threshold | sensitivity | specificity |
|---|---|---|
{rows}

The same for lesions of two photographs and more alone, where the rule can change something:

| by | lesions (malignant) | sensitivity | specificity |
|---|---|---|---|
{often}"""


def _groups(groups: Figures) -> str:
    rows = "\n".join(
        f"| {family}: {name} | {group['photographs']} | {group['malignant']} | {interval(group.get('auc'))} "
        f"| {interval(group.get('sensitivity'))} | {interval(group.get('specificity'))} |"
        for family, members in groups.items()
        for name, group in members.items()
    )
    return f"""## Groups (five folds, one photograph per lesion, by the deployed "refer")

A way of confirming a benign lesion is held against all malignant ones, which are all proven by histology. A dash stands
where fewer than ten lesions would bear the figure.

| group | lesions | malignant | AUC | sensitivity | specificity |
|---|---|---|---|---|---|
{rows}"""


def _sources(found: Figures) -> str:
    return f"""## A source that was never seen

Lesions of folds 1 to 4, read by a network that learnt from all sources, and by one that learnt from the others alone;
{found["epochs"]} epochs each, fewer than the network that is served. On one slice both can be compared; the network
that never saw a source is tested on the whole of it as well. Lesions (malignant): AUC; sensitivity / specificity of
"refer", which in the last two columns was chosen without the source. Leaving a large source out also leaves fewer
photographs to learn from (the first column), so what is lost is not the strangeness of the source alone.

{sources_table(found)}"""


def sources_table(found: Figures) -> str:
    """found: as bench/sources.py writes it."""
    rows = "\n".join(
        f"| {name} | {parts['learnt_from']['photographs']} ({parts['learnt_from']['malignant']}) "
        f"| {_source(parts['seen'])} | {_source(parts['left_out'])} | {_source(parts['left_out_whole'])} |"
        for name, parts in found["sources"].items()
    )
    every = found["every_source"]
    return f"""| source | learnt from without it (malignant; with it {every["photographs"]} ({every["malignant"]})) \
| one slice, seen | one slice, never seen | whole source, never seen |
|---|---|---|---|---|
{rows}"""


def _source(found: Figures) -> str:
    area = interval(found["auc"]) if "auc" in found else "–"
    refer = " / ".join(
        f"{found[name]['value']:.2f}" if name in found else "–" for name in ("sensitivity", "specificity")
    )
    return f"{found['photographs']} ({found['malignant']}): {area}; {refer}"


def _robustness(found: Figures) -> str:
    rows = "\n".join(
        f"| {name} | {row['auc']:.3f} | {_short(row, 'auc_of_scorable')} | {row['sensitivity']:.3f} "
        f"| {row['specificity']:.3f} | {row['unscorable']:.1%} | {row['lost']} | {row['lost_but_unscorable']} |"
        for name, row in found.items()
    )
    return f"""## Worse photographs (fold 0, one photograph per lesion)

"Lost": malignant lesions that are referred as they are and would not be when spoilt so; "of them unscorable": where the
photograph is refused in place of the wrong reading. Figures without intervals here, in "Fold by fold" and in the
decision curves are for comparing their rows.

| spoilt by | AUC | of the scorable | sensitivity | specificity | unscorable | lost | of them unscorable |
|---|---|---|---|---|---|---|---|
{rows}"""


def _cautions(manifest: Manifest) -> str:
    rules = "\n".join(f"- `{rule.code}`: {rule.sentence}" for rule in manifest.cautions)
    return f"""## Cautions

Shown above the score where the record says so; a low band is not shown there.

{rules}"""


def _limits(manifest: Manifest) -> str:
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in manifest.limits)


CHECKLISTS = """## Where the items of the checklists stand

| item | where |
|---|---|
| CLEAR Derm, data: image types, artefacts | Data; Limits; Worse photographs |
| CLEAR Derm, data: patients, skin tones, missing groups | Data; Groups; Cautions |
| CLEAR Derm, data and technique: labels, reference standard, splits, leakage | Data; Training and protocol |
| CLEAR Derm, technique: algorithm, training, thresholds chosen beforehand | Training and protocol; Thresholds |
| CLEAR Derm, technical assessment: intervals, comparison, calibration | Five folds; Fold 0; What was asked |
| CLEAR Derm, application: failure modes, public files, use | Worse photographs; Cautions; Limits; this folder |
| TRIPOD+AI: participants, outcome, predictors, missing data | Data; Groups |
| TRIPOD+AI: class imbalance, fairness, model output, performance measures | Training and protocol; Groups; Five folds |
| TRIPOD+AI: code, data and model availability | this repository; Data; `manifest.json` (sha256 of every file) |
| not done | no external validation, registered protocol or patient involvement; no sample size reckoned beforehand |
| not known | the devices and how the photographs were taken |"""


def interval(found: Figures | None) -> str:
    """A dash for what cannot be told."""
    if not found or found["value"] is None:
        return "–"
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


def _short(row: Figures, key: str) -> str:
    return f"{row[key]:.3f}" if key in row else "–"
