"""Coded lists of readings and reviews."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ml import cautions
from skinclinic.audit.acting import CLINICIAN, MANAGER, REVIEWER


class Band(models.TextChoices):
    LOW = "low", _("Low")
    INTERMEDIATE = "intermediate", _("Intermediate")
    HIGH = "high", _("High")


BAND_SCORES = {Band.LOW: _("Low score"), Band.INTERMEDIATE: _("Intermediate score"), Band.HIGH: _("High score")}


class FailureCode(models.TextChoices):
    """Why a reading failed, in words for the clinic; the technical detail goes to the log, under the screening's id."""

    WORKER_LOST = (
        "worker_lost",
        _(
            "The reading was cut off three times: the worker or the store of photographs was away. "
            "A manager should look."
        ),
    )
    TOO_SLOW = "too_slow", _("The reading took too long and was stopped.")
    MODEL_ERROR = "model_error", _("The model could not read this photograph because of a fault on our side.")
    MODEL_MISSING = (
        "model_missing",
        _("The clinic's model is missing where photographs are read, or failed its test there. A manager should look."),
    )
    BYTES_MISSING = "bytes_missing", _("The stored photograph could not be fetched.")


class Finding(models.TextChoices):
    """What the clinician sees that the model was not tested on."""

    NON_PIGMENTED = cautions.NON_PIGMENTED, _("Not pigmented")
    ULCERATED = cautions.ULCERATED, _("Ulcerated")
    SUSPECTED_SCC = cautions.SUSPECTED_SCC, _("Squamous cell carcinoma suspected")


class PhotographKind(models.TextChoices):
    """What a photograph is for: to be read, or to show where the lesion sits."""

    DERMOSCOPIC = "dermoscopic", _("Dermoscopic: through the dermatoscope, to be read")
    OVERVIEW = "overview", _("Overview: where it sits, not read")


class Diagnosis(models.TextChoices):
    """What a doctor may call a lesion: wider than the model's seven classes."""

    NEVUS = "nevus", _("Melanocytic nevus")
    ATYPICAL_NEVUS = "atypical_nevus", _("Atypical nevus")
    MELANOMA = "melanoma", _("Melanoma")
    MELANOMA_IN_SITU = "melanoma_in_situ", _("Melanoma in situ")
    BASAL_CELL_CARCINOMA = "bcc", _("Basal cell carcinoma")
    SQUAMOUS_CELL_CARCINOMA = "scc", _("Squamous cell carcinoma")
    ACTINIC_KERATOSIS = "actinic_keratosis", _("Actinic keratosis")
    BOWEN = "bowen", _("Bowen's disease (carcinoma in situ)")
    SEBORRHEIC_KERATOSIS = "seborrheic_keratosis", _("Seborrheic keratosis")
    LENTIGO = "lentigo", _("Lentigo")
    DERMATOFIBROMA = "dermatofibroma", _("Dermatofibroma")
    VASCULAR = "vascular", _("Vascular lesion")
    INFLAMMATORY = "inflammatory", _("Inflammatory")
    MERKEL = "merkel", _("Merkel cell carcinoma")
    OTHER = "other", _("Other, in words")


MALIGNANT_DIAGNOSES = frozenset(
    {
        Diagnosis.MELANOMA,
        Diagnosis.MELANOMA_IN_SITU,
        Diagnosis.BASAL_CELL_CARCINOMA,
        Diagnosis.SQUAMOUS_CELL_CARCINOMA,
        Diagnosis.ACTINIC_KERATOSIS,
        Diagnosis.BOWEN,
        Diagnosis.MERKEL,
    }
)


class Recommendation(models.TextChoices):
    REASSURE = "reassure", _("Reassure")
    FOLLOW_UP = "follow_up", _("Follow up")
    BIOPSY = "biopsy", _("Biopsy")
    EXCISE = "excise", _("Excise")
    REFER = "refer", _("Refer")
    RETAKE = "retake", _("Photograph again")


def recommended(recommendation: str, months: int | None) -> str:
    """Such as “Follow up in 3 months”."""
    label = Recommendation(recommendation).label
    if not months:
        return str(label)
    in_months = ngettext("%(recommendation)s in %(months)s month", "%(recommendation)s in %(months)s months", months)
    return in_months % {"recommendation": label, "months": months}


# What takes a lesion out of the clinic's hands, or a piece of it to the laboratory.
ACTING_RECOMMENDATIONS = frozenset({Recommendation.BIOPSY, Recommendation.EXCISE, Recommendation.REFER})
# What a report of pathology answers.
TAKES_TISSUE = frozenset({Recommendation.BIOPSY, Recommendation.EXCISE})


class ReviewKind(models.TextChoices):
    BLIND = "blind", _("First opinion, before the reading was shown,")
    OPINION = "opinion", _("Opinion")
    ADJUDICATION = "adjudication", _("Adjudication")
    AMENDMENT = "amendment", _("Amendment")


class DifferenceReason(models.TextChoices):
    """Why a reviewer differs from the reading."""

    CLINICAL_PICTURE = "clinical_picture", _("The clinical picture says otherwise")
    HISTORY = "history", _("The history says otherwise")
    KNOWN_LESION = "known_lesion", _("The lesion is known and unchanged")
    ARTEFACT = "artefact", _("Hair, marker, ruler or light misled the reading")
    OUTSIDE_MODEL = "outside_model", _("Not one of the model's diagnoses")
    OTHER = "other", _("Other, in words")


class WithdrawalReason(models.TextChoices):
    WRONG_PATIENT = "wrong_patient", _("Wrong patient")
    WRONG_LESION = "wrong_lesion", _("Wrong lesion")
    OTHER = "other", _("Other")


class FollowUpStatus(models.TextChoices):
    OPEN = "open", _("Open")
    DONE = "done", _("Done")
    DECLINED = "declined", _("Declined by the patient")
    LOST = "lost", _("Lost to follow-up")
    WITHDRAWN = "withdrawn", _("Withdrawn with the photograph")
    SUPERSEDED = "superseded", _("Replaced by a later review")


class ProblemKind(models.TextChoices):
    """What a person finds wrong with a reading."""

    SCORE = "score", _("The score does not fit the lesion")
    CALLED_UNFIT = "called_unfit", _("Called unfit, though it can be read")
    READ_UNFIT = "read_unfit", _("Read, though the photograph is unfit")
    MAP = "map", _("The map points elsewhere")
    FAILED = "failed", _("It fails again and again")
    OTHER = "other", _("Other, in words")


class IncidentKind(models.TextChoices):
    """What harmed a patient, or could have."""

    MISSED_CANCER = "missed_cancer", _("Missed cancer")
    WRONG_PATIENT = "wrong_patient", _("Wrong patient")
    OTHER = "other", _("Other")


class RetryReason(models.TextChoices):
    WORKER_MENDED = "worker_mended", _("The worker was mended")
    MODEL_CHANGED = "model_changed", _("The model was put right")
    ANOTHER_TRY = "another_try", _("Another try")
    CONSENT_GIVEN = "consent_given", _("The patient has consented now")


class HeldStatus(models.TextChoices):
    """What became of a signature that was held for a few seconds."""

    HELD = "held", _("About to be given")
    GIVEN = "given", _("Given")
    UNDONE = "undone", _("Undone")
    REFUSED = "refused", _("Refused")


class NoticeKind(models.TextChoices):
    """What a person is told of without asking."""

    HIGH_READING = "high_reading", _("High reading")
    UNFIT_PHOTOGRAPH = "unfit_photograph", _("Photograph to take again")
    RETAKE = "retake", _("Photograph assigned to you, to take again")
    REVIEW_SIGNED = "review_signed", _("Review signed")
    FOLLOW_UP_OVERDUE = "follow_up_overdue", _("Follow-up overdue")
    ALARM = "alarm", _("Alarm of the dashboard")
    SWITCH_ASKED = "switch_asked", _("Your agreement is asked for: another model")
    RESUME_ASKED = "resume_asked", _("Your agreement is asked for: resume readings")
    ERASURE_ASKED = "erasure_asked", _("Your agreement is asked for: erase a patient")
    LIFT_ASKED = "lift_asked", _("Your agreement is asked for: lift a legal hold")
    CHART_OPENED = "chart_opened", _("Restricted chart opened")
    WEBHOOK_DISABLED = "webhook_disabled", _("Webhook disabled")


# What a person cannot decline to be told, and what somebody of a role can.
ALWAYS_TOLD = frozenset({NoticeKind.FOLLOW_UP_OVERDUE, NoticeKind.CHART_OPENED, NoticeKind.WEBHOOK_DISABLED})
ABOUT_MODELS = frozenset({NoticeKind.SWITCH_ASKED, NoticeKind.RESUME_ASKED})
ASKS_AGREEMENT = ABOUT_MODELS | {NoticeKind.ERASURE_ASKED, NoticeKind.LIFT_ASKED}
DECLINED_BY = {
    CLINICIAN: {NoticeKind.HIGH_READING, NoticeKind.UNFIT_PHOTOGRAPH, NoticeKind.RETAKE, NoticeKind.REVIEW_SIGNED},
    REVIEWER: ASKS_AGREEMENT | {NoticeKind.HIGH_READING},
    MANAGER: ASKS_AGREEMENT | {NoticeKind.ALARM},
}
NOTICES_OF_SCREENINGS = frozenset({NoticeKind.HIGH_READING, NoticeKind.UNFIT_PHOTOGRAPH, NoticeKind.RETAKE})


class NoticeWay(models.TextChoices):
    BOTH = "both", _("Here and by e-mail")
    HERE = "here", _("Here only")
    NONE = "none", _("Not at all")


class AlarmCode(models.TextChoices):
    """What asks for a manager; its sentence with its figures is in `dashboard/alarms.py`."""

    STUCK = "stuck", _("Photographs are not being read")
    BROKER = "broker", _("The queue cannot be reached")
    WORKER = "worker", _("No worker is there")
    REFUSED = "refused", _("A worker did not start")
    WATCH = "watch", _("The watch is not running")
    SUSPENDED = "suspended", _("Readings are suspended")
    FAILED = "failed", _("Readings fail")
    UNFIT = "unfit", _("Many photographs are unfit")
    DRIFT = "drift", _("Readings have drifted")
    UNSEALED = "unsealed", _("The ledger is not being sealed")
    BROKEN_LEDGER = "broken_ledger", _("The ledger is not what was sealed")
    HIGH_UNSIGNED = "high_unsigned", _("High readings wait for their review")
    HIGH_UNACKNOWLEDGED = "high_unacknowledged", _("Reviews of high readings wait to be acknowledged")
    VISITS = "visits", _("Visits are overdue for review")
    FOLLOW_UPS = "follow_ups", _("Follow-ups are overdue")
    PATHOLOGY = "pathology", _("Pathology is overdue")
    PROBLEMS = "problems", _("Reports of problems wait for an answer")
    INCIDENTS = "incidents", _("Incidents have no owner")


class Panel(models.TextChoices):
    """What is counted ahead of being looked at."""

    AGREEMENT = "agreement", _("Agreement")
    TRUTH = "truth", _("Against the truth")
    DRIFT = "drift", _("Drift")
    BESIDE = "beside", _("Side by side")
    VERSIONS = "versions", _("Readings by model")
