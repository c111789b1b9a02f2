"""What the record says beside the photograph, and where the model was hardly tested on such ground."""

from ml.cautions import CautionRule, Ground, parse_rule, that_hold
from screening.codes import Band
from screening.models import Prediction, Screening


def ground_of(screening: Screening) -> Ground:
    """As the record stands now; of a merged patient, as the remaining record says."""
    person = screening.patient.merged_into or screening.patient
    return Ground(
        age=person.identity.age_on(screening.created_at.date()),
        skin_type=person.skin_type,
        site=screening.image.lesion.site,
        findings=frozenset(screening.image.findings),
    )


def cautions_of(screening: Screening, prediction: Prediction) -> list[CautionRule]:
    """The rules of the model that read it which hold now; what is corrected after the reading counts."""
    rules = [parse_rule(stored) for stored in prediction.model_version.manifest.get("cautions", [])]
    return list(that_hold(rules, ground_of(screening)))


def shown_band(band: str, cautions: object) -> str:
    """A low score is not called low where it may be wrong either way."""
    return "" if band == Band.LOW and cautions else band
