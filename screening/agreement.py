"""What a reviewer says with one key: what the reading says, or what she said herself before she saw it."""

from collections.abc import Mapping

from django.utils.translation import gettext as _

from screening.codes import Diagnosis, Recommendation, recommended
from screening.models import Review, Screening
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
    when its diagnosis contradicts its decision.
    """
    prediction = screening.prediction
    if screening.review_status not in QUICK or not reading.band or prediction is None:
        return None
    if said is not None:
        keeps = said.reading_shown_id != prediction.pk and said.suspicious == prediction.refer
        return opinion_of(said) if keeps else None
    opinion = Opinion(
        suspicious=prediction.refer,
        diagnosis=DOCTORS_NAME[max(prediction.probabilities, key=prediction.probabilities.__getitem__)],
        recommendation=Recommendation.REFER if prediction.refer else Recommendation.REASSURE,
    )
    return None if Review(**vars(opinion)).contradicts_itself else opinion


def opinion_of(review: Review) -> Opinion:
    said = {name: getattr(review, name) for name in Opinion.__dataclass_fields__}
    return Opinion(**said | {"difference_reason": ""})


def in_words(opinion: Opinion) -> str:
    """Such as “not suspicious, melanocytic nevus, reassure”."""
    suspicion = _("suspicious") if opinion.suspicious else _("not suspicious")
    recommendation = in_sentence(recommended(opinion.recommendation, opinion.follow_up_months))
    diagnosis = str(Diagnosis(opinion.diagnosis).label)
    return f"{suspicion}, {in_sentence(diagnosis[0])}{diagnosis[1:]}, {recommendation}"
