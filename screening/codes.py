"""Coded lists of readings and reviews."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ml import cautions
from skinclinic.audit.acting import CLINICIAN, MANAGER, REVIEWER


class Band(models.TextChoices):
    LOW = "low", "Low"
    INTERMEDIATE = "intermediate", "Intermediate"
    HIGH = "high", "High"


class FailureCode(models.TextChoices):
    """Why a reading failed, in words for the clinic; the technical detail goes to the log, under the screening's id."""

    WORKER_LOST = (
        "worker_lost",
        "The reading was cut off three times: the worker or the store of photographs was away. A manager should look.",
    )
    TOO_SLOW = "too_slow", "The reading took too long and was stopped."
    MODEL_ERROR = "model_error", "The model could not read this photograph because of a fault on our side."
    MODEL_MISSING = (
        "model_missing",
        "The clinic's model is missing where photographs are read, or failed its test there. A manager should look.",
    )
    BYTES_MISSING = "bytes_missing", "The stored photograph could not be fetched."


class Finding(models.TextChoices):
    """What the clinician sees that the model was not tested on."""

    NON_PIGMENTED = cautions.NON_PIGMENTED, "Not pigmented"
    ULCERATED = cautions.ULCERATED, "Ulcerated"
    SUSPECTED_SCC = cautions.SUSPECTED_SCC, "Squamous cell carcinoma suspected"


class PhotographKind(models.TextChoices):
    """What a photograph is for: to be read, or to show where the lesion sits."""

    DERMOSCOPIC = "dermoscopic", "Dermoscopic: through the dermatoscope, to be read"
    OVERVIEW = "overview", "Overview: where it sits, not read"


class Diagnosis(models.TextChoices):
    """What a doctor may call a lesion: wider than the model's seven classes."""

    NEVUS = "nevus", "Melanocytic nevus"
    ATYPICAL_NEVUS = "atypical_nevus", "Atypical nevus"
    MELANOMA = "melanoma", "Melanoma"
    MELANOMA_IN_SITU = "melanoma_in_situ", "Melanoma in situ"
    BASAL_CELL_CARCINOMA = "bcc", "Basal cell carcinoma"
    SQUAMOUS_CELL_CARCINOMA = "scc", "Squamous cell carcinoma"
    ACTINIC_KERATOSIS = "actinic_keratosis", "Actinic keratosis"
    BOWEN = "bowen", "Bowen's disease (carcinoma in situ)"
    SEBORRHEIC_KERATOSIS = "seborrheic_keratosis", "Seborrheic keratosis"
    LENTIGO = "lentigo", "Lentigo"
    DERMATOFIBROMA = "dermatofibroma", "Dermatofibroma"
    VASCULAR = "vascular", "Vascular lesion"
    INFLAMMATORY = "inflammatory", "Inflammatory"
    MERKEL = "merkel", "Merkel cell carcinoma"
    OTHER = "other", "Other, in words"


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
    REASSURE = "reassure", "Reassure"
    FOLLOW_UP = "follow_up", "Follow up"
    BIOPSY = "biopsy", "Biopsy"
    EXCISE = "excise", "Excise"
    REFER = "refer", "Refer"
    RETAKE = "retake", "Photograph again"


# What takes a lesion out of the clinic's hands, or a piece of it to the laboratory.
ACTING_RECOMMENDATIONS = frozenset({Recommendation.BIOPSY, Recommendation.EXCISE, Recommendation.REFER})


class ReviewKind(models.TextChoices):
    BLIND = "blind", "First opinion, before the reading was shown,"
    OPINION = "opinion", "Opinion"
    ADJUDICATION = "adjudication", "Adjudication"
    AMENDMENT = "amendment", "Amendment"


class DifferenceReason(models.TextChoices):
    """Why a reviewer differs from the reading."""

    CLINICAL_PICTURE = "clinical_picture", "The clinical picture says otherwise"
    HISTORY = "history", "The history says otherwise"
    KNOWN_LESION = "known_lesion", "The lesion is known and unchanged"
    ARTEFACT = "artefact", "Hair, marker, ruler or light misled the reading"
    OUTSIDE_MODEL = "outside_model", "Not one of the model's diagnoses"
    OTHER = "other", "Other, in words"


class WithdrawalReason(models.TextChoices):
    WRONG_PATIENT = "wrong_patient", "Wrong patient"
    WRONG_LESION = "wrong_lesion", "Wrong lesion"
    OTHER = "other", "Other"


class FollowUpStatus(models.TextChoices):
    OPEN = "open", "Open"
    DONE = "done", "Done"
    DECLINED = "declined", "Declined by the patient"
    LOST = "lost", "Lost to follow-up"
    WITHDRAWN = "withdrawn", "Withdrawn with the photograph"
    SUPERSEDED = "superseded", "Replaced by an amended review"


class ProblemKind(models.TextChoices):
    """What a person finds wrong with a reading."""

    SCORE = "score", "The score does not fit the lesion"
    CALLED_UNFIT = "called_unfit", "Called unfit, though it can be read"
    READ_UNFIT = "read_unfit", "Read, though the photograph is unfit"
    MAP = "map", "The map points elsewhere"
    FAILED = "failed", "It fails again and again"
    OTHER = "other", "Other, in words"


class RetryReason(models.TextChoices):
    WORKER_MENDED = "worker_mended", "The worker was mended"
    MODEL_CHANGED = "model_changed", "The model was put right"
    ANOTHER_TRY = "another_try", "Another try"
    CONSENT_GIVEN = "consent_given", "The patient has consented now"


class HeldStatus(models.TextChoices):
    """What became of a signature that was held for a few seconds."""

    HELD = "held", "About to be given"
    GIVEN = "given", "Given"
    UNDONE = "undone", "Undone"
    REFUSED = "refused", "Refused"


class NoticeKind(models.TextChoices):
    """What a person is told of without asking."""

    HIGH_READING = "high_reading", _("High reading")
    UNFIT_PHOTOGRAPH = "unfit_photograph", _("Photograph to take again")
    REVIEW_SIGNED = "review_signed", _("Review signed")
    FOLLOW_UP_OVERDUE = "follow_up_overdue", _("Follow-up overdue")
    READING_STUCK = "reading_stuck", _("Photographs are not being read")


# What a person cannot decline to be told, and what somebody of a role can.
ALWAYS_TOLD = frozenset({NoticeKind.FOLLOW_UP_OVERDUE})
DECLINED_BY = {
    CLINICIAN: {NoticeKind.HIGH_READING, NoticeKind.UNFIT_PHOTOGRAPH, NoticeKind.REVIEW_SIGNED},
    REVIEWER: {NoticeKind.HIGH_READING},
    MANAGER: {NoticeKind.READING_STUCK},
}
NOTICES_OF_SCREENINGS = frozenset({NoticeKind.HIGH_READING, NoticeKind.UNFIT_PHOTOGRAPH, NoticeKind.READING_STUCK})


class NoticeWay(models.TextChoices):
    BOTH = "both", _("Here and by e-mail")
    HERE = "here", _("Here only")
    NONE = "none", _("Not at all")
