"""What lies on a person's desk: opinions half written, signatures about to be given, what to take again, kept lists."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from patients.models import ClinicRecord, PatientRecord, Visit
from patients.querysets import ClinicQuerySet
from screening.codes import HeldStatus
from skinclinic.accounts.models import User
from skinclinic.text import validate_one_line


class HeldSignatureQuerySet(ClinicQuerySet):
    def held(self) -> Self:
        return self.filter(status=HeldStatus.HELD)

    def due(self) -> Self:
        """By the database's clock."""
        return self.held().filter(due_at__lte=Now())


class HeldSignature(PatientRecord):
    """A reviewer has signed a visit, and may still undo it; when it is due it becomes a `Signature`, or is refused."""

    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, related_name="held_signatures")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    opinions = ArrayField(models.UUIDField(), help_text="Those that stood beside the button.")
    differs = models.BooleanField(default=False, help_text="From the first reader: it goes to a third, not out.")
    due_at = models.DateTimeField()
    status = models.CharField(max_length=8, choices=HeldStatus.choices, default=HeldStatus.HELD)
    refusal = models.CharField(max_length=300, blank=True, help_text="Why it was not given, in words for the reviewer.")
    closed_at = models.DateTimeField(null=True)

    objects = HeldSignatureQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["visit"], condition=Q(status="held"), name="signature_held_once"),
            models.CheckConstraint(
                condition=Q(status="held", closed_at__isnull=True)
                | Q(status__in=["given", "undone", "refused"], closed_at__isnull=False),
                name="held_signature_closed_at_some_time",
            ),
            models.CheckConstraint(
                condition=Q(status="refused") & ~Q(refusal="") | ~Q(status="refused") & Q(refusal=""),
                name="held_signature_refused_says_why",
            ),
        ]
        indexes = [models.Index(fields=["clinic", "due_at"], condition=Q(status="held"), name="held_signature_due")]

    def __str__(self) -> str:
        return f"held signature {self.pk}"


class Draft(PatientRecord):
    """What a reviewer has written of a photograph and not saved yet. Hers alone, and not on the ledger."""

    screening = models.ForeignKey("screening.Screening", on_delete=models.CASCADE, related_name="drafts")
    reviewer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    fields = models.JSONField(help_text="Of the opinion form, by name, as they were typed.")
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["screening", "reviewer"], name="draft_one_each")]

    def __str__(self) -> str:
        return f"draft {self.pk}"


class SavedFilter(ClinicRecord):
    """A narrowed worklist that its owner keeps under a name."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=40, validators=[validate_one_line])
    query = models.CharField(max_length=300, help_text="As the end of the worklist's address.")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("clinic", "owner", Lower("name"), name="saved_filter_name_once"),
            models.CheckConstraint(condition=~Q(name=""), name="saved_filter_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Retake(PatientRecord):
    """A photograph that could not be read is to be taken again by somebody; done when the lesion has a newer one."""

    screening = models.OneToOneField("screening.Screening", on_delete=models.PROTECT, related_name="retake")
    assignee = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    assigned_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    assigned_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"retake of {self.screening_id}"
