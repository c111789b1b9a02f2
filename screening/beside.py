"""What stands beside a photograph that is read: overview photographs, and how large a millimetre is."""

import math
from typing import Self

from django.db import models
from django.db.models import F, Q

from patients.models import PatientRecord, Visit
from patients.querysets import ClinicQuerySet
from screening.codes import WithdrawalReason
from skinclinic.accounts.models import User


class OverviewQuerySet(ClinicQuerySet):
    def in_use(self) -> Self:
        return self.filter(withdrawn_at__isnull=True)


class Overview(PatientRecord):
    """A photograph that shows where a lesion sits. It is never read, and gets no opinion."""

    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, related_name="overviews")
    image = models.OneToOneField("screening.LesionImage", on_delete=models.PROTECT, related_name="overview")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    withdrawn_reason = models.CharField(max_length=16, choices=WithdrawalReason.choices, blank=True)
    withdrawn_words = models.TextField(max_length=500, blank=True)

    objects = OverviewQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_reason="")
                | Q(withdrawn_at__isnull=False, withdrawn_reason__gt=""),
                name="overview_withdrawn_says_why",
            )
        ]

    def __str__(self) -> str:
        return f"overview {self.pk}"

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None


class PhotographScale(PatientRecord):
    """Two points on a photograph and how far apart they are on the skin. The last one of a photograph counts.

    x is a share of the photograph's width from the left, y of its height from the top.
    """

    image = models.ForeignKey("screening.LesionImage", on_delete=models.PROTECT, related_name="scales")
    x1 = models.FloatField()
    y1 = models.FloatField()
    x2 = models.FloatField()
    y2 = models.FloatField()
    millimetres = models.FloatField()
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    submission = models.UUIDField(help_text="The form's own number: sent twice, it is saved once.")

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["set_by", "submission"], name="scale_once_per_submission"),
            models.CheckConstraint(
                condition=Q(x1__range=(0, 1), y1__range=(0, 1), x2__range=(0, 1), y2__range=(0, 1)),
                name="scale_on_the_photograph",
            ),
            models.CheckConstraint(condition=~Q(x1=F("x2"), y1=F("y2")), name="scale_between_two_points"),
            models.CheckConstraint(condition=Q(millimetres__range=(0.5, 300)), name="scale_is_plausible"),
        ]

    def __str__(self) -> str:
        return f"scale {self.pk}"

    @property
    def pixel_millimetres(self) -> float:
        """How much of the skin one pixel of the stored photograph shows."""
        across, down = (self.x2 - self.x1) * self.image.width, (self.y2 - self.y1) * self.image.height
        return self.millimetres / math.hypot(across, down)
