"""Who and where: patients, their consents, visits and lesions."""

import uuid
from datetime import date

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from patients.codes import (
    BodySite,
    ConsentDecision,
    ConsentKind,
    ErasureReason,
    HistoryItem,
    IdentifierType,
    Laterality,
    MapView,
    RiskFactor,
    Sex,
    SkinType,
    Urgency,
)
from patients.querysets import (
    ClinicQuerySet,
    ConsentQuerySet,
    ErasureQuerySet,
    HoldQuerySet,
    PatientQuerySet,
    VisitQuerySet,
)
from patients.validators import validate_past_date
from skinclinic.accounts.models import Clinic, User
from skinclinic.audit.acting import Actor
from skinclinic.text import in_sentence, validate_one_line


class ClinicRecord(models.Model):
    """A row of one clinic, under a key that says nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        abstract = True


class Patient(ClinicRecord):
    """A person under the clinic's care, without anything that names her: that stands in `PatientIdentity`."""

    sex = models.CharField(max_length=8, choices=Sex.choices, default=Sex.UNKNOWN)
    skin_type = models.PositiveSmallIntegerField(
        "Fitzpatrick skin type", choices=SkinType.choices, null=True, blank=True
    )
    risk_factors = ArrayField(
        models.CharField(max_length=20, choices=RiskFactor.choices),
        default=list,
        blank=True,
        help_text="Nothing: nobody has asked.",
    )
    merged_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged_from")
    is_restricted = models.BooleanField(default=False, help_text="Opening the chart asks for a reason, and is told.")
    erased_at = models.DateTimeField(null=True, editable=False, help_text="When all that named her was erased.")
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = PatientQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(merged_into=F("id")), name="patient_not_merged_into_itself"),
            models.CheckConstraint(
                condition=Q(skin_type__isnull=True) | Q(skin_type__in=SkinType.values), name="patient_skin_type_known"
            ),
            models.CheckConstraint(
                condition=Q(risk_factors__contained_by=RiskFactor.values), name="patient_risk_factors_known"
            ),
            models.CheckConstraint(
                condition=~Q(risk_factors__contains=[RiskFactor.NONE_KNOWN]) | Q(risk_factors__len=1),
                name="patient_none_known_stands_alone",
            ),
        ]
        indexes = [models.Index(fields=["clinic", "-created_at"], name="patient_by_clinic")]

    def __str__(self) -> str:
        return f"patient {self.pk}"

    @property
    def risk_words(self) -> str:
        """In the order in which they are asked; empty when nobody has asked."""
        return ", ".join(str(factor.label) for factor in RiskFactor if factor in self.risk_factors)


class PatientRecord(ClinicRecord):
    """A row about one patient. Patient and clinic stand in each row, and the database refuses a row that mixes them."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True


class ChartOpening(PatientRecord):
    """One person opened a restricted chart, and said why. It holds for a while, for her and this patient."""

    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["person", "patient", "ends_at"], name="opening_of_person")]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("created_at")), name="opening_ends_after_it_began")
        ]

    def __str__(self) -> str:
        return f"opening {self.pk}"


class PatientIdentity(models.Model):
    """All that names a patient. The ledger tells that it changed, never what stood here."""

    patient = models.OneToOneField(Patient, on_delete=models.PROTECT, primary_key=True, related_name="identity")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    family_name = models.CharField(max_length=100, validators=[validate_one_line])
    given_name = models.CharField(max_length=100, validators=[validate_one_line])
    birth_date = models.DateField(validators=[validate_past_date])
    phone = models.CharField(max_length=40, blank=True, validators=[validate_one_line])
    email = models.EmailField("e-mail address", blank=True)
    address = models.TextField(blank=True, max_length=500)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "patient identities"
        indexes = [
            models.Index(fields=["clinic", "family_name", "given_name"], name="identity_by_name"),
            models.Index(fields=["clinic", "birth_date"], name="identity_by_birth_date"),
        ]

    def __str__(self) -> str:
        return f"identity of {self.patient_id}"

    @property
    def name(self) -> str:
        return f"{self.family_name}, {self.given_name}" if self.family_name else gettext("Erased patient")

    def age_on(self, day: date) -> int:
        return age_on(self.birth_date, day)


def age_on(born: date, day: date) -> int:
    """Whole years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


class PatientIdentifier(ClinicRecord):
    """A number that some system knows the patient by: a record number, a national number, another system's."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="identifiers")
    system = models.CharField(max_length=200, help_text="Who gives the number, such as urn:clinic:record.")
    value = models.CharField(max_length=100, validators=[validate_one_line])
    type = models.CharField(max_length=16, choices=IdentifierType.choices, default=IdentifierType.RECORD)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic", "system", "value"], name="identifier_once_in_the_clinic"),
            models.CheckConstraint(condition=~Q(value="") & ~Q(system=""), name="identifier_is_not_empty"),
        ]

    def __str__(self) -> str:
        return f"identifier of {self.patient_id}"


class Consent(ClinicRecord):
    """What a patient decided about one use of her photographs, until she decides otherwise."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    kind = models.CharField(max_length=16, choices=ConsentKind.choices)
    decision = models.CharField(max_length=8, choices=ConsentDecision.choices)
    decided_on = models.DateField(validators=[validate_past_date])
    noted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True, editable=False)

    objects = ConsentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "kind"], condition=Q(ended_at__isnull=True), name="consent_one_in_force_of_a_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.decision}"


class Visit(ClinicRecord):
    """One occasion on which lesions were looked at; it is reviewed and signed as a whole."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="visits")
    clinician = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    question = models.TextField(max_length=1000, blank=True)
    history = ArrayField(models.CharField(max_length=16, choices=HistoryItem.choices), default=list, blank=True)
    diameter_mm = models.PositiveSmallIntegerField(
        "diameter in mm", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(300)]
    )
    urgency = models.CharField(max_length=8, choices=Urgency.choices, default=Urgency.ROUTINE)
    photographed_on = models.DateField(null=True, help_text="Of an imported visit: the day of its photographs.")
    due_at = models.DateTimeField(null=True, help_text="An imported visit has none.")
    taken_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    taken_until = models.DateTimeField(null=True)

    objects = VisitQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(history__contained_by=HistoryItem.values), name="visit_history_known"),
            models.CheckConstraint(
                condition=Q(taken_by__isnull=True, taken_until__isnull=True)
                | Q(taken_by__isnull=False, taken_until__isnull=False),
                name="visit_taken_by_someone_until_some_time",
            ),
            models.CheckConstraint(
                condition=Q(photographed_on__isnull=True, due_at__isnull=False)
                | Q(photographed_on__isnull=False, due_at__isnull=True),
                name="visit_due_unless_imported",
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "-created_at"], name="visit_by_clinic"),
            models.Index(fields=["patient", "-created_at"], name="visit_by_patient"),
        ]

    def __str__(self) -> str:
        return f"visit {self.pk}"

    @property
    def is_imported(self) -> bool:
        return self.photographed_on is not None

    @property
    def day(self) -> date:
        return self.photographed_on or timezone.localdate(self.created_at)

    @property
    def dated(self) -> str:
        """When it was, as people write it: of an imported visit nobody knows the hour."""
        if self.photographed_on:
            return date_format(self.photographed_on, "DATE_FORMAT")
        return date_format(timezone.localtime(self.created_at), "DATETIME_FORMAT")

    @property
    def history_words(self) -> str:
        return ", ".join(str(item.label) for item in HistoryItem if item in self.history)

    @property
    def is_taken(self) -> bool:
        return self.taken_until is not None and self.taken_until > timezone.now()

    def is_taken_from(self, actor: Actor) -> bool:
        """Whether another reviewer holds it."""
        return self.is_taken and self.taken_by_id != actor.user_id


class Lesion(ClinicRecord):
    """One spot on one patient's skin, followed over the years."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="lesions")
    site = models.CharField(max_length=16, choices=BodySite.choices)
    laterality = models.CharField(max_length=8, choices=Laterality.choices)
    view = models.CharField(max_length=8, choices=MapView.choices)
    x = models.FloatField(help_text="From the left edge of the body map, 0 to 1.")
    y = models.FloatField(help_text="From the top edge of the body map, 0 to 1.")
    number = models.PositiveSmallIntegerField(editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient", "number"], name="lesion_number_once_per_patient"),
            models.CheckConstraint(condition=Q(x__gte=0, x__lte=1, y__gte=0, y__lte=1), name="lesion_on_the_body_map"),
        ]
        indexes = [models.Index(fields=["clinic", "-created_at"], name="lesion_by_clinic")]

    def __str__(self) -> str:
        return f"lesion {self.pk}"

    def get_site_display(self) -> str:
        """Django's own translates every site to find one: a fifth of a long list's time."""
        return str(BodySite(self.site).label)

    @property
    def map_x(self) -> float:
        """On the drawn body map, which is 100 wide and 200 high."""
        return round(100 * self.x, 1)

    @property
    def map_y(self) -> float:
        return round(200 * self.y, 1)

    @property
    def label(self) -> str:
        side = f", {in_sentence(self.get_laterality_display())}" if self.laterality != Laterality.MIDLINE else ""
        return f"{self.number}: {self.get_site_display()}{side}"


class LegalHold(PatientRecord):
    """Nothing of this patient is erased while it stands: put by a manager, lifted by two people."""

    is_in_the_chart = False
    outlives_erasure = True

    words = models.TextField(max_length=500)
    put_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    lift_asked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    lift_asked_at = models.DateTimeField(null=True)
    lifted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["patient"], condition=Q(lifted_at__isnull=True), name="hold_open_once"),
            models.CheckConstraint(
                condition=Q(lift_asked_by__isnull=True, lift_asked_at__isnull=True)
                | Q(lift_asked_by__isnull=False, lift_asked_at__isnull=False),
                name="hold_lifting_asked_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(lifted_by__isnull=True, lifted_at__isnull=True)
                | Q(lifted_by__isnull=False, lifted_at__isnull=False, lift_asked_by__isnull=False)
                & ~Q(lifted_by=F("lift_asked_by")),
                name="hold_lifted_by_two",
            ),
        ]

    def __str__(self) -> str:
        return f"hold {self.pk}"


class Erasure(PatientRecord):
    """A patient's record is to be erased: asked for by a manager, agreed to by another person, or taken back.

    It outlives what was erased: a restore of an older back-up repeats it (docs/decisions/043). `records`: all her
    records, those that were merged among them; `counts`: rows of each table. These and `erased_at` are written by the
    database itself, which holds the two people against each other. `replayed_at`: by a restore, as the owner.
    """

    is_in_the_chart = False
    outlives_erasure = True

    reason = models.CharField(max_length=12, choices=ErasureReason.choices)
    words = models.TextField(max_length=500, blank=True, help_text="Erased with her.")
    despite_follow_ups = models.BooleanField(default=False, help_text="Said of follow-ups of what looks malignant.")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    agreed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    taken_back_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True, help_text="What is written of her; her files follow.")
    records = ArrayField(models.UUIDField(), default=list)
    counts = models.JSONField(default=dict)
    sent_at = models.DateTimeField(null=True, help_text="When the workers were last told of her files.")
    files_erased_at = models.DateTimeField(null=True)
    replayed_at = models.DateTimeField(null=True)

    objects = ErasureQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["patient"], condition=Q(taken_back_at__isnull=True), name="erasure_once"),
            models.CheckConstraint(condition=Q(reason__in=ErasureReason.values), name="erasure_reason_known"),
            models.CheckConstraint(
                condition=Q(agreed_by__isnull=True) | ~Q(agreed_by=F("asked_by")), name="erasure_agreed_by_two"
            ),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True)
                | Q(taken_back_at__isnull=True)
                & (Q(asked_by__isnull=False, agreed_by__isnull=False) | Q(replayed_at__isnull=False)),
                name="erasure_done_by_two",
            ),
            models.CheckConstraint(
                condition=Q(files_erased_at__isnull=True) | Q(erased_at__isnull=False), name="erasure_files_come_last"
            ),
        ]
        indexes = [
            models.Index(fields=["clinic"], condition=Q(files_erased_at__isnull=True), name="erasure_to_see_to"),
            models.Index(fields=["clinic", "-erased_at"], name="erasure_by_clinic"),
        ]

    def __str__(self) -> str:
        return f"erasure of {self.patient_id}"
