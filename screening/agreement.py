"""What a reviewer says with one key: what the reading says, or what she said herself before she saw it."""

from collections.abc import Mapping

from django.utils.translation import gettext as _

from screening.codes import MALIGNANT_DIAGNOSES, Diagnosis, Recommendation, recommended
from screening.models import Prediction, Review, Screening
from screening.presentation import ShownReading
from screening.services.reviews import Opinion
from screening.status import ReviewStatus
from skinclinic.text import in_sentence

# What a doctor would call the model's classes; two of them cover several diagnoses.
DOCTORS_NAME: Mapping[str, Diagnosis] = {
    "akiec": Diagnosis.ACTINIC_KERATOSIS,
    "bcc": Diagnosis.BASAL_CELL_CARCINOMA,
    "bkl": Diagnosis.SEBORRHEIC_KERATOSIS,
    "df": Diagnosis.DERMATOFIBROMA,
    "mel": Diagnosis.MELANOMA,
    "nv": Diagnosis.NEVUS,
    "vasc": Diagnosis.VASCULAR,
}
QUICK = frozenset({ReviewStatus.OPEN, ReviewStatus.READ})


def quick_opinion(screening: Screening, reading: ShownReading, said: Review | None) -> Opinion | None:
    """The opinion that one key saves, or None where one key would be too few.

    `said`: her last opinion; given before the reading was shown, it is what she keeps. None while that is hidden,
    when it shows no band (suspended, withheld, unfit, absent), when she has judged beside it or differs from it, and
    when `contradicts` says that its diagnosis is another than its decision.
    """
    prediction = screening.prediction
    if screening.review_status not in QUICK or not reading.band or prediction is None:
        return None
    if said is not None:
        keeps = said.reading_shown_id != prediction.pk and said.suspicious == prediction.refer
        return opinion_of(said) if keeps else None
    if contradicts(prediction):
        return None
    return Opinion(
        suspicious=prediction.refer,
        diagnosis=likeliest(prediction),
        recommendation=Recommendation.REFER if prediction.refer else Recommendation.REASSURE,
    )


def likeliest(prediction: Prediction) -> Diagnosis:
    return DOCTORS_NAME[max(prediction.probabilities, key=prediction.probabilities.__getitem__)]


def contradicts(prediction: Prediction) -> bool:
    """Its score adds up the malignant classes, so it may ask for a specialist while a benign one is the likeliest.

    A doctor can mean that, such as of an atypical nevus; one key cannot say it for her.
    """
    return prediction.refer != (likeliest(prediction) in MALIGNANT_DIAGNOSES)


def contradiction_in_words(screening: Screening, reading: ShownReading) -> str:
    """Why nothing is offered to agree to, where that is why; empty otherwise."""
    prediction = screening.prediction
    if screening.review_status not in QUICK or not reading.band or prediction is None or not contradicts(prediction):
        return ""
    named = {"diagnosis": likeliest(prediction).label}
    if prediction.refer:
        said = _("The score is above the threshold, though the likeliest diagnosis is benign: %(diagnosis)s.") % named
    else:
        said = (
            _("The score is below the threshold, though the likeliest diagnosis is malignant: %(diagnosis)s.") % named
        )
    return f"{said} " + _("So there is nothing to agree to with one key; say what you find.")


def opinion_of(review: Review) -> Opinion:
    said = {name: getattr(review, name) for name in Opinion.__dataclass_fields__}
    return Opinion(**said | {"difference_reason": ""})


def in_words(opinion: Opinion) -> str:
    """Such as “not suspicious, melanocytic nevus, reassure”."""
    suspicion = _("suspicious") if opinion.suspicious else _("not suspicious")
    recommendation = in_sentence(recommended(opinion.recommendation, opinion.follow_up_months))
    diagnosis = str(Diagnosis(opinion.diagnosis).label)
    return f"{suspicion}, {in_sentence(diagnosis[0])}{diagnosis[1:]}, {recommendation}"
