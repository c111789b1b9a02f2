"""Photographs, their readings and their reviews."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from patients.models import Lesion, PatientRecord, Visit
from screening.beside import Overview, PhotographScale
from screening.codes import (
    ACTING_RECOMMENDATIONS,
    MALIGNANT_DIAGNOSES,
    TAKES_TISSUE,
    Band,
    Diagnosis,
    DifferenceReason,
    FailureCode,
    Finding,
    FollowUpStatus,
    ProblemKind,
    Recommendation,
    ReviewKind,
    WithdrawalReason,
    recommended,
)
from screening.dashboard.tables import Alarm, CountedPanel
from screening.desk import Draft, HeldSignature, Retake, SavedFilter
from screening.importing import ImportBatch, ImportRow, LesionLabel
from screening.incidents import Incident, IncidentNote
from screening.judging import Judgement, differs_from, has_switched, says_something
from screening.model_versions import ModelVersion, ReadingPolicy, ShadowVersion, Suspension, SwitchRequest
from screening.notices import Notice, NoticeChoice
from screening.querysets import (
    FollowUpQuerySet,
    LesionImageQuerySet,
    OutcomeQuerySet,
    PredictionQuerySet,
    ReadingProblemQuerySet,
    ScreeningQuerySet,
    SignatureQuerySet,
)
from screening.status import REVIEW_IS_OPEN, REVIEW_IS_SIGNED, ReadingStatus, ReviewStatus
from screening.stored import StoredChunk, StoredFile
from skinclinic.accounts.models import User

# Tables of this app that stand in modules of their own.
__all__ = [
    "Alarm",
    "CountedPanel",
    "Draft",
    "HeldSignature",
    "ImportBatch",
    "ImportRow",
    "Incident",
    "IncidentNote",
    "LesionLabel",
    "ModelVersion",
    "Notice",
    "NoticeChoice",
    "Overview",
    "PhotographScale",
    "ReadingPolicy",
    "Retake",
    "SavedFilter",
    "ShadowVersion",
    "StoredChunk",
    "StoredFile",
    "Suspension",
    "SwitchRequest",
]


def photograph_path(image: "LesionImage", filename: str) -> str:
    return f"{image.clinic_id}/{image.pk}/photograph.jpg"


def thumbnail_path(image: "LesionImage", filename: str) -> str:
    return f"{image.clinic_id}/{image.pk}/thumbnail.jpg"


class LesionImage(PatientRecord):
    """A clean photograph of a lesion: upright 8-bit sRGB, rebuilt from its pixels. It owns its bytes."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="images")
    photograph = models.FileField(upload_to=photograph_path, max_length=200)
    thumbnail = models.FileField(upload_to=thumbnail_path, max_length=200)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.PositiveIntegerField(help_text="Bytes of the stored photograph.")
    sha256 = models.CharField(max_length=64, help_text="Of the stored photograph.")
    upload_sha256 = models.CharField(max_length=64, help_text="Of the file as it came, for noticing duplicates.")
    original_name = models.CharField(max_length=100, blank=True)
    captured_at = models.DateTimeField(null=True, help_text="As the camera says; the clinician confirms it.")
    camera = models.CharField(max_length=100, blank=True)
    findings = ArrayField(models.CharField(max_length=16, choices=Finding.choices), default=list, blank=True)
    uploaded_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    submission = models.UUIDField(null=True, help_text="The file's own number: sent twice, it is stored once.")

    objects = LesionImageQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["clinic", "upload_sha256"], name="image_by_upload"),
            models.Index(fields=["lesion", "-created_at"], name="image_by_lesion"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["uploaded_by", "submission"], name="image_once_per_submission"),
            models.CheckConstraint(condition=Q(findings__contained_by=Finding.values), name="image_findings_known"),
        ]

    def __str__(self) -> str:
        return f"photograph {self.pk}"

    @property
    def taken_at(self) -> datetime:
        return self.captured_at or self.created_at


class Screening(PatientRecord):
    """One photograph of one lesion, to be read by the model and reviewed by a doctor.

    The two statuses move apart from each other, and only by the services. While `reading_status` is queued, the row
    itself is the message to the workers: the broker's copy may be lost.
    """

    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, related_name="screenings")
    image = models.OneToOneField(LesionImage, on_delete=models.PROTECT, related_name="screening")
    reading_status = models.CharField(max_length=12, choices=ReadingStatus.choices, default=ReadingStatus.QUEUED)
    review_status = models.CharField(max_length=12, choices=ReviewStatus.choices, default=ReviewStatus.OPEN)
    attempt = models.PositiveSmallIntegerField(default=0)
    lost_attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    times_sent = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    failure_code = models.CharField(max_length=20, choices=FailureCode.choices, blank=True)
    prediction = models.OneToOneField(
        "Prediction", on_delete=models.PROTECT, null=True, related_name="decides", help_text="The deciding reading."
    )
    signed_review = models.OneToOneField("Review", on_delete=models.PROTECT, null=True, related_name="signed_for")
    signature = models.ForeignKey("Signature", on_delete=models.PROTECT, null=True, related_name="screenings")
    disputed_at = models.DateTimeField(null=True, help_text="When two readers were found to differ.")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    withdrawn_reason = models.CharField(max_length=16, choices=WithdrawalReason.choices, blank=True)
    withdrawn_words = models.TextField(max_length=500, blank=True)
    moved_to = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="moved_from")

    is_hidden: bool  # only of those fetched with `shown_to(actor)`
    hidden_until: str  # likewise
    is_repeat: bool  # only of those fetched `with_repeats_marked()`

    objects = ScreeningQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(reading_status__in=ReadingStatus.values), name="reading_status_known"),
            models.CheckConstraint(condition=Q(review_status__in=ReviewStatus.values), name="review_status_known"),
            models.CheckConstraint(
                condition=Q(reading_status="failed", failure_code__gt="")
                | ~Q(reading_status="failed") & Q(failure_code=""),
                name="failed_says_why",
            ),
            models.CheckConstraint(
                condition=Q(reading_status__in=["predicted", "unscorable"], prediction__isnull=False)
                | ~Q(reading_status__in=["predicted", "unscorable"]) & Q(prediction__isnull=True),
                name="read_has_its_prediction",
            ),
            models.CheckConstraint(
                condition=Q(reading_status="running", lease_until__isnull=False)
                | ~Q(reading_status="running") & Q(lease_until__isnull=True),
                name="running_has_a_lease",
            ),
            models.CheckConstraint(
                condition=Q(
                    review_status__in=sorted(REVIEW_IS_SIGNED), signed_review__isnull=False, signature__isnull=False
                )
                | Q(review_status__in=sorted(REVIEW_IS_OPEN), signed_review__isnull=True, signature__isnull=True),
                name="signed_has_its_review",
            ),
            models.CheckConstraint(
                condition=~Q(review_status="disputed") | Q(disputed_at__isnull=False), name="disputed_since_some_time"
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_reason="", moved_to__isnull=True)
                | Q(withdrawn_at__isnull=False, withdrawn_reason__gt=""),
                name="withdrawn_says_why",
            ),
        ]
        indexes = [
            models.Index(
                fields=["clinic", "created_at"],
                condition=Q(reading_status__in=["queued", "running"]),
                name="screening_open_readings",
            ),
            models.Index(
                fields=["clinic", "visit"],
                condition=Q(review_status__in=sorted(REVIEW_IS_OPEN), withdrawn_at__isnull=True),
                name="screening_open_reviews",
            ),
            models.Index(
                fields=["clinic", "-finished_at"], condition=Q(reading_status="failed"), name="screening_failed"
            ),
            models.Index(fields=["clinic", "-created_at", "-id"], name="screening_by_clinic"),
        ]

    def __str__(self) -> str:
        return f"screening {self.pk}"

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None

    @property
    def is_signed(self) -> bool:
        return self.review_status in REVIEW_IS_SIGNED


class Prediction(PatientRecord):
    """What one model version read in one photograph. Never changed after it was written."""

    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="predictions")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="predictions")
    attempt = models.PositiveSmallIntegerField()
    malignancy = models.FloatField(help_text="Calibrated score for malignant or pre-malignant, 0 to 1.")
    band = models.CharField(max_length=12, choices=Band.choices, blank=True, help_text="Empty when unscorable.")
    refer = models.BooleanField()
    probabilities = models.JSONField()
    # 7x7 cells of 7 diagnoses as little-endian float32: 1,372 bytes, row by row.
    activation_map = models.BinaryField()
    unscorable_reasons = models.JSONField(default=list)
    cautions = models.JSONField(default=list)
    quality = models.JSONField(default=dict)
    milliseconds = models.FloatField()
    weights_sha256 = models.CharField(max_length=64)
    preprocessing = models.CharField(max_length=20)
    thresholds = models.CharField(max_length=12, blank=True, help_text="Digest of calibration, thresholds and limits.")

    objects = PredictionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["screening", "model_version"], name="prediction_once_per_version"),
            models.CheckConstraint(
                condition=Q(malignancy__gte=0, malignancy__lte=1), name="prediction_score_is_a_share"
            ),
            models.CheckConstraint(
                condition=Q(band="") & ~Q(unscorable_reasons=[]) | Q(band__in=Band.values, unscorable_reasons=[]),
                name="prediction_band_or_reasons",
            ),
        ]

    def __str__(self) -> str:
        return f"prediction {self.pk}"

    @property
    def says_something(self) -> bool:
        return says_something(refers=self.refer, cautions=self.cautions)


class Review(PatientRecord):
    """What one doctor said of one screening at one time. Never changed; a later one supersedes it."""

    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=ReviewKind.choices, default=ReviewKind.OPINION)
    suspicious = models.BooleanField()
    diagnosis = models.CharField(max_length=24, choices=Diagnosis.choices)
    recommendation = models.CharField(max_length=12, choices=Recommendation.choices)
    follow_up_months = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )
    difference_reason = models.CharField(max_length=20, choices=DifferenceReason.choices, blank=True)
    words = models.TextField(max_length=2000, blank=True)
    reading_shown = models.ForeignKey(
        Prediction, on_delete=models.PROTECT, null=True, related_name="+", help_text="Empty when none was shown."
    )
    blind_opinion = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="+", help_text="Her own, before she saw the reading."
    )
    supersedes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="superseded_by")
    submission = models.UUIDField(help_text="The form's own number: sent twice, it is saved once.")

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["reviewer", "submission"], name="review_once_per_submission"),
            models.CheckConstraint(
                condition=Q(recommendation="follow_up", follow_up_months__isnull=False)
                | ~Q(recommendation="follow_up") & Q(follow_up_months__isnull=True),
                name="review_follow_up_has_months",
            ),
            models.CheckConstraint(
                condition=~Q(diagnosis="other") & ~Q(difference_reason="other") | ~Q(words=""),
                name="review_other_has_words",
            ),
            models.CheckConstraint(
                condition=~Q(kind="blind") | Q(reading_shown__isnull=True, blind_opinion__isnull=True),
                name="review_blind_saw_nothing",
            ),
        ]
        indexes = [models.Index(fields=["screening", "created_at"], name="review_by_screening")]

    def __str__(self) -> str:
        return f"review {self.pk}"

    @property
    def recommended(self) -> str:
        return recommended(self.recommendation, self.follow_up_months)

    @property
    def contradicts_itself(self) -> bool:
        """Whether a malignant diagnosis is called not suspicious, or is to be left alone."""
        left_alone = not self.suspicious or self.recommendation == Recommendation.REASSURE
        return self.diagnosis in MALIGNANT_DIAGNOSES and left_alone

    @property
    def differs(self) -> bool:
        """Whether the suspicion is another than the reading's, if one was shown."""
        reading = self.reading_shown
        return reading is not None and differs_from(
            suspicious=self.suspicious, refers=reading.refer, cautions=reading.cautions
        )

    def conflicts_with(self, other: "Review") -> bool:
        """Whether two readers differ so that a third has to decide: in suspicion, or in whether to act."""
        acts = self.recommendation in ACTING_RECOMMENDATIONS
        return self.suspicious != other.suspicious or acts != (other.recommendation in ACTING_RECOMMENDATIONS)

    @property
    def switched(self) -> bool:
        """Whether she judged otherwise before she saw the reading."""
        before = self.blind_opinion
        return has_switched(before.judgement if before else None, self.judgement)

    @property
    def judgement(self) -> Judgement:
        return Judgement(self.suspicious, self.diagnosis, self.recommendation, self.follow_up_months)


class Signature(PatientRecord):
    """A reviewer put her name under a visit, or under what she amended in it."""

    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, related_name="signatures")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    amends = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="amended_by")
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)

    objects = SignatureQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(acknowledged_by__isnull=True, acknowledged_at__isnull=True)
                | Q(acknowledged_by__isnull=False, acknowledged_at__isnull=False),
                name="signature_acknowledged_by_someone",
            ),
            models.CheckConstraint(
                condition=Q(amends__isnull=True) | ~Q(amends=F("id")), name="signature_amends_another"
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "created_at"], name="signature_by_clinic"),
            models.Index(fields=["clinic"], condition=Q(acknowledged_at__isnull=True), name="signature_unacknowledged"),
        ]

    def __str__(self) -> str:
        return f"signature {self.pk}"


class FollowUp(PatientRecord):
    """What a signed review asks for, who sees to it, and until when; of one lesion the same is open once."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="follow_ups")
    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="follow_up")
    what = models.CharField(max_length=12, choices=Recommendation.choices)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    due_on = models.DateField()
    status = models.CharField(max_length=12, choices=FollowUpStatus.choices, default=FollowUpStatus.OPEN)
    closed_at = models.DateTimeField(null=True)
    replaced_by = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="replaced")
    reported_by = models.ForeignKey(
        "Outcome",
        on_delete=models.PROTECT,
        null=True,
        related_name="closed",
        help_text="The report that answers it.",
    )

    objects = FollowUpQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status="open", closed_at__isnull=True) | ~Q(status="open") & Q(closed_at__isnull=False),
                name="follow_up_closed_at_some_time",
            ),
            models.CheckConstraint(condition=Q(status__in=FollowUpStatus.values), name="follow_up_status_known"),
            models.CheckConstraint(
                condition=(Q(replaced_by__isnull=True) | Q(status="superseded"))
                & (Q(reported_by__isnull=True) | Q(status="done")),
                name="follow_up_closed_by_what_it_says",
            ),
            models.UniqueConstraint(fields=["lesion", "what"], condition=Q(status="open"), name="follow_up_open_once"),
        ]
        indexes = [
            models.Index(fields=["clinic", "due_on"], condition=Q(status="open"), name="follow_up_open"),
            models.Index(
                fields=["clinic", "closed_at"],
                condition=Q(what__in=sorted(TAKES_TISSUE), status="done", reported_by__isnull=True),
                name="follow_up_unanswered",
            ),
        ]

    def __str__(self) -> str:
        return f"follow-up {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status == FollowUpStatus.OPEN


class Outcome(PatientRecord):
    """What pathology found in a lesion. Never changed: a later one corrects it, or takes it back with no diagnosis."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="outcomes")
    diagnosis = models.CharField(max_length=24, choices=Diagnosis.choices, blank=True)
    reported_on = models.DateField()
    words = models.TextField(max_length=2000, blank=True)
    entered_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    supersedes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="superseded_by")
    submission = models.UUIDField(null=True, help_text="The form's own number: sent twice, it is saved once.")

    objects = OutcomeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entered_by", "submission"], name="outcome_once_per_submission"),
            models.CheckConstraint(
                condition=~Q(diagnosis="") | Q(supersedes__isnull=False) & ~Q(words=""),
                name="outcome_taken_back_says_why",
            ),
            models.CheckConstraint(condition=~Q(diagnosis="other") | ~Q(words=""), name="outcome_other_has_words"),
        ]
        indexes = [models.Index(fields=["lesion", "-reported_on"], name="outcome_by_lesion")]

    def __str__(self) -> str:
        return f"outcome {self.pk}"

    @property
    def is_malignant(self) -> bool:
        """Malignant or pre-malignant."""
        return self.diagnosis in MALIGNANT_DIAGNOSES


class ReadingProblem(PatientRecord):
    """Somebody finds something wrong with a reading, or with its absence; a manager answers."""

    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="problems")
    prediction = models.ForeignKey(
        Prediction, on_delete=models.PROTECT, null=True, related_name="+", help_text="Empty when none was shown."
    )
    kind = models.CharField(max_length=16, choices=ProblemKind.choices)
    words = models.TextField(max_length=1000, blank=True)
    reported_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    submission = models.UUIDField(help_text="The form's own number: sent twice, it is saved once.")
    answer = models.TextField(max_length=1000, blank=True)
    answered_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(null=True)

    objects = ReadingProblemQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["reported_by", "submission"], name="problem_once_per_submission"),
            models.CheckConstraint(condition=Q(kind__in=ProblemKind.values), name="problem_kind_known"),
            models.CheckConstraint(condition=~Q(kind="other") | ~Q(words=""), name="problem_other_has_words"),
            models.CheckConstraint(
                condition=Q(answered_by__isnull=True, answered_at__isnull=True, answer="")
                | Q(answered_by__isnull=False, answered_at__isnull=False) & ~Q(answer=""),
                name="problem_answered_by_someone",
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "created_at"], condition=Q(answered_at__isnull=True), name="problem_open")
        ]

    def __str__(self) -> str:
        return f"problem {self.pk}"
