"""A reading in words and figures, for the page: what is shown of it, and what a person should make of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ml.labels import MALIGNANT
from screening.cautions import cautions_of, shown_band
from screening.codes import BAND_SCORES, Band, FailureCode
from screening.models import Prediction, Screening
from screening.querysets import HIDDEN_UNTIL_REVIEW
from screening.status import ReadingStatus
from screening.words import caution_sentence, class_name, quality_name, unfit_reason
from skinclinic.accounts.models import Clinic, as_told
from skinclinic.text import decimal
from skinclinic.workers import ALIVE_SECONDS, anybody_reads

# A worker that is gone is missed so long after it last said that it is there.
MISSED_AFTER = timedelta(seconds=ALIVE_SECONDS)
DISCLAIMER = _("Decision support for research and education. Not a medical device, never a diagnosis by itself.")

WAITS = _("Readings are suspended in this clinic. The photograph waits; review and sign it without a reading.")
UNAVAILABLE = _(
    "Nothing reads photographs just now. This one is stored and is read by itself later; if it cannot wait, review and "
    "sign it without a reading."
)
BLIND = _("In this clinic reviewers judge first. Give your opinion; then you see the reading and keep or change it.")
UNREVIEWED = _("The photograph is read. In this clinic you see this reading once a reviewer has signed it.")
WITHHELD = _("On such ground a low score is no reassurance, so no band is shown. Go by what you see.")


@dataclass(frozen=True)
class Bar:
    code: str
    name: str
    probability: float

    @property
    def percent(self) -> float:
        return round(100 * self.probability, 1)


@dataclass(frozen=True)
class ShownReading:
    """What the reading column says. `tone` is its look: a band, unscorable, failed, waiting or none."""

    tone: str
    headline: str
    sentences: list[str]
    band: str = ""
    score: float | None = None
    counts: list[str] = field(default_factory=list)
    malignant: list[Bar] = field(default_factory=list)
    benign: list[Bar] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    quality: list[tuple[str, float]] = field(default_factory=list)
    provenance: list[tuple[str, str]] = field(default_factory=list)

    @property
    def has_map(self) -> bool:
        return self.score is not None


def open_first(screenings: Iterable[Screening]) -> tuple[list[Screening], bool]:
    """Those of a visit, and whether some are signed while others are not: then what is signed comes last, and is
    marked, since something was added to a signed visit."""
    ordered = sorted(screenings, key=lambda each: each.is_signed)
    return ordered, bool(ordered) and ordered[-1].is_signed and not ordered[0].is_signed


def present(screening: Screening, clinic: Clinic) -> ShownReading:
    if screening.is_hidden and screening.hidden_until == HIDDEN_UNTIL_REVIEW:
        return ShownReading("hidden", gettext("Waits for a reviewer"), [str(UNREVIEWED)])
    if screening.is_hidden:
        return ShownReading("hidden", gettext("Shown after your opinion"), [str(BLIND)])
    return present_status(screening, clinic)


def present_status(screening: Screening, clinic: Clinic) -> ShownReading:
    match screening.reading_status:
        case ReadingStatus.QUEUED:
            return present_queued(screening)
        case ReadingStatus.RUNNING:
            return ShownReading("waiting", gettext("Being read"), [gettext("The result appears here by itself.")])
        case ReadingStatus.FAILED:
            why = str(FailureCode(screening.failure_code).label)
            next_step = gettext("Try it again, or review the photograph without a reading.")
            return ShownReading("failed", gettext("Reading failed"), [why, next_step])
        case ReadingStatus.NOT_WANTED:
            why = gettext(
                "The patient has not consented to a reading by the model. The photograph is reviewed all the same."
            )
            return ShownReading("none", gettext("Not read"), [why])
        case ReadingStatus.UNSCORABLE if screening.prediction:
            return present_unscorable(screening.prediction)
        case ReadingStatus.PREDICTED if screening.prediction:
            return present_prediction(screening, screening.prediction, clinic)
    raise ValueError(screening.reading_status)


def present_queued(screening: Screening) -> ShownReading:
    if screening.is_withdrawn:
        return ShownReading("none", gettext("Not read"), [gettext("The photograph was withdrawn before it was read.")])
    if screening.is_suspended:
        return ShownReading("none", gettext("Not read yet"), [str(WAITS)])
    if screening.created_at < timezone.now() - MISSED_AFTER and not anybody_reads():
        return ShownReading("waiting", gettext("Reading is unavailable"), [str(UNAVAILABLE)])
    waits = gettext("It waits for a free worker; usually that takes seconds.")
    if screening.lost_attempts:
        waits = gettext("Reading was cut off; it will be tried again within a minute.")
    return ShownReading("waiting", gettext("Waiting to be read"), [waits])


def present_unscorable(prediction: Prediction) -> ShownReading:
    reasons = [unfit_reason(code) for code in prediction.unscorable_reasons]
    return ShownReading(
        "unscorable",
        gettext("Not fit to be read"),
        [*reasons, gettext("This is a finding about the photograph, not about the lesion.")],
        quality=quality_of(prediction),
        provenance=provenance_of(prediction),
    )


def present_prediction(screening: Screening, prediction: Prediction, clinic: Clinic) -> ShownReading:
    bars = [Bar(code, class_name(code), share) for code, share in prediction.probabilities.items()]
    bars.sort(key=lambda bar: -bar.probability)
    cautions = cautions_of(screening, prediction)
    band = "" if screening.is_suspended else shown_band(prediction.band, cautions)
    manifest = prediction.model_version.manifest
    return ShownReading(
        band or "none",
        str(BAND_SCORES[Band(band)]) if band else gettext("Score without a band"),
        [band_sentence(screening, prediction, band)],
        band=band,
        score=prediction.malignancy,
        counts=count_sentences(manifest, band, clinic) if band else [],
        malignant=[bar for bar in bars if bar.code in MALIGNANT],
        benign=[bar for bar in bars if bar.code not in MALIGNANT],
        cautions=[caution_sentence(rule) for rule in cautions],
        quality=quality_of(prediction),
        provenance=provenance_of(prediction),
    )


def band_sentence(screening: Screening, prediction: Prediction, band: str) -> str:
    if screening.is_suspended:
        stopped = gettext("Model %(version)s, or every reading, is suspended in this clinic. Do not rely on this one.")
        return stopped % {"version": prediction.model_version_id}
    return refer_sentence(prediction) if band else str(WITHHELD)


def shown_score(malignancy: float) -> str:
    """Two decimals; what they would round away is never shown as none or all."""
    if malignancy < 0.005:
        return gettext("below %(score)s") % {"score": decimal(0.01, ".2f")}
    if malignancy >= 0.995:
        return gettext("above %(score)s") % {"score": decimal(0.99, ".2f")}
    return decimal(malignancy, ".2f")


def refer_sentence(prediction: Prediction) -> str:
    if prediction.refer:
        return gettext("The score is above the model's threshold for having the lesion looked at by a specialist.")
    return gettext(
        "The score is below the model's threshold for referral. A low score does not rule out a malignant lesion."
    )


def count_sentences(manifest: dict[str, Any], band: str, clinic: Clinic) -> list[str]:
    """How often readings of this band were malignant in the test collection, and would be at the clinic's share.

    P(malignant | band) by Bayes' theorem from the shares of malignant and of benign test lesions in the band.
    """
    figures = manifest.get("bands", {}).get(band)
    if not figures:
        return []
    malignant, benign = figures["malignant"], figures["benign"]
    collection = malignant["total"] + benign["total"]
    in_band = malignant["count"] + benign["count"]
    if not in_band:
        return []
    collection_share, band_share = malignant["total"] / collection, malignant["count"] / in_band
    measured = gettext(
        "In the test collection, where %(lesions)s of 1,000 lesions are malignant, %(readings)s of 1,000 such "
        "readings were."
    )
    sentences = [measured % {"lesions": per_thousand(collection_share), "readings": per_thousand(band_share)}]
    expected_share = clinic.expected_malignant_share
    true_rate, false_rate = malignant["count"] / malignant["total"], benign["count"] / benign["total"]
    weighed = expected_share * true_rate + (1 - expected_share) * false_rate
    if weighed:
        expected = gettext(
            "Where %(lesions)s of 1,000 are malignant, as expected here (%(source)s, %(day)s), about %(readings)s "
            "would be. Not measured in this clinic."
        )
        told = {
            "lesions": per_thousand(expected_share),
            "source": as_told(clinic.expected_malignant_source),
            "day": date_format(clinic.expected_malignant_on),
            "readings": per_thousand(expected_share * true_rate / weighed),
        }
        sentences.append(expected % told)
    if band == Band.LOW:
        low = gettext("%(count)s of 1,000 malignant test lesions read low.")
        sentences.append(low % {"count": per_thousand(true_rate)})
    return sentences


def per_thousand(share: float) -> int:
    return round(1000 * share)


def quality_of(prediction: Prediction) -> list[tuple[str, float]]:
    return [(quality_name(name), value) for name, value in prediction.quality.items()]


def provenance_of(prediction: Prediction) -> list[tuple[str, str]]:
    return [
        (gettext("Model"), prediction.model_version_id),
        (gettext("Weights"), prediction.weights_sha256[:16]),
        (gettext("Preprocessing"), prediction.preprocessing),
        (gettext("Thresholds"), prediction.thresholds or gettext("not stated")),
        (gettext("Referral threshold"), threshold_of(prediction.model_version.manifest)),
        (gettext("Read in"), f"{prediction.milliseconds:.0f} ms"),
    ]


def threshold_of(manifest: dict[str, Any]) -> str:
    return decimal(manifest["refer"]["value"], ".3f") if "refer" in manifest else gettext("not stated")
