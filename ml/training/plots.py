"""The plots of a model's evaluation, as files beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.labels import DIAGNOSES
from ml.training.card import POPULATIONS, Figures
from ml.training.statistics import wilson

# The palette of Okabe and Ito, which colour-blind readers can tell apart.
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7")
DOTS_PER_INCH = 110


def draw_plots(found: Figures, folder: Path) -> None:
    """Write roc.png, reliability.png, confusion.png and decision.png of the five folds into `folder`."""
    for name, draw in PLOTS.items():
        figure = Figure(figsize=(6.2, 5.2), layout="constrained")
        draw(figure.subplots(), found["five_folds"])
        figure.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def _draw_roc(axes: Axes, found: Figures) -> None:
    for colour, (key, title) in zip(COLOURS, POPULATIONS.items(), strict=False):
        target = found[key]["targets"]["malignant"]
        alarms = np.linspace(0, 1, len(target["roc"]))
        axes.plot(alarms, target["roc"], color=colour, label=f"{title} (AUC {target['auc']['value']:.3f})")
        attained = target["attained"]["refer"]
        axes.plot(1 - attained["specificity"]["value"], attained["sensitivity"]["value"], "o", color=colour)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title='ROC, five folds; the dot is what "refer" attains')
    axes.legend(loc="lower right", fontsize=8)


def _draw_reliability(axes: Axes, found: Figures) -> None:
    bins = found["one_photograph_per_lesion"]["calibration"]["reliability"]
    score, share, count = (np.array([part[key] for part in bins]) for key in ("score", "share", "count"))
    low, high = np.array([wilson(one, number) for one, number in zip(share, count, strict=True)]).T
    axes.errorbar(score, share, yerr=(share - low, high - share), fmt="o", color=COLOURS[0], capsize=2)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(
        xlabel="mean score of a bin",
        ylabel="share that is malignant",
        title="Reliability, one photograph per lesion, 15 bins, Wilson intervals",
    )


def _draw_confusion(axes: Axes, found: Figures) -> None:
    table = np.array(found["one_photograph_per_lesion"]["confusion"])
    shares = table / table.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(DIAGNOSES) + 1), [*DIAGNOSES, "unscorable"], rotation=45, ha="right")
    axes.set_yticks(range(len(DIAGNOSES)), DIAGNOSES)
    axes.set(xlabel="shown", ylabel="true", title="Diagnoses, one photograph per lesion, five folds")


def _draw_decision(axes: Axes, found: Figures) -> None:
    curves = found["decision_curves"]
    for colour, (prevalence, curve) in zip(COLOURS, curves["prevalences"].items(), strict=True):
        label = f"{float(prevalence):.0%} malignant"
        axes.plot(curves["chances"], curve["by_score"], color=colour, label=label)
        axes.plot(curves["chances"], curve["everybody"], "--", color=colour, linewidth=0.8)
    axes.axhline(0, color="grey", linewidth=0.8)
    highest = max(max(curve["by_score"]) for curve in curves["prevalences"].values())
    axes.set(
        xlabel="chance of malignancy at which one would refer",
        ylabel="net benefit",
        ylim=(-0.1 * highest, 1.1 * highest),
        title="Decision curves (dashed: refer everybody; 0: nobody)",
    )
    axes.legend(fontsize=8)


PLOTS: dict[str, Callable[[Axes, Figures], None]] = {
    "roc": _draw_roc,
    "reliability": _draw_reliability,
    "confusion": _draw_confusion,
    "decision": _draw_decision,
}
PLOT_FILES = tuple(f"{name}.png" for name in PLOTS)
