"""What people are told without asking, and how they want to be told."""

from typing import Self

from django.apps import apps
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from patients.models import ChartOpening, ClinicRecord, Erasure, LegalHold, Patient, PatientRecord
from patients.querysets import ClinicQuerySet
from screening.codes import ALWAYS_TOLD, NOTICES_OF_SCREENINGS, NoticeKind, NoticeWay
from skinclinic.accounts.models import User
from skinclinic.audit.acting import Actor


class NoticeQuerySet(ClinicQuerySet):
    def told_to(self, actor: Actor) -> Self:
        """Her own, without those of readings that are hidden from her or suspended now."""
        screenings = apps.get_model("screening", "Screening").objects.visible_to(actor)
        hidden = screenings.with_prediction().shown_to(actor).filter(Q(is_hidden=True) | Q(is_suspended=True))
        told = self.visible_to(actor).standing().filter(recipient=actor.user_id)
        return told.exclude(screening__in=hidden.values("pk"), kind__in=TELL_OF_READINGS)

    def count_unseen(self, actor: Actor) -> int:
        """On every page: whether a reading is hidden from her is asked only where a notice tells of one."""
        hers = self.visible_to(actor).filter(recipient=actor.user_id).unseen()
        kinds = set(hers.order_by().values_list("kind", flat=True).distinct())
        if not kinds:
            return 0
        told = self.told_to(actor).unseen() if kinds.intersection(TELL_OF_READINGS) else hers.standing()
        return told.count()

    def standing(self) -> Self:
        """Without those of alarms that are over, and of what nobody asks for any more, or she asks for herself."""
        return self.filter(
            is_still_asked(NoticeKind.RESUME_ASKED, "suspension__resume_asked_by", "suspension__resumed_at"),
            is_still_asked(NoticeKind.LIFT_ASKED, "hold__lift_asked_by", "hold__lifted_at"),
            alarm__ended_at__isnull=True,
            switch__ended_at__isnull=True,
            erasure__erased_at__isnull=True,
            erasure__taken_back_at__isnull=True,
        )

    def unseen(self) -> Self:
        return self.filter(seen_at__isnull=True)

    def to_be_mailed(self) -> Self:
        return self.standing().unseen().filter(by_mail=True, mailed_at__isnull=True)


def is_still_asked(kind: NoticeKind, asker: str, done: str) -> Q:
    """Of what can be asked for, taken back and asked for by somebody else."""
    by_another = Q(**{f"{asker}__isnull": False}) & ~Q(**{asker: F("recipient")})
    return ~Q(kind=kind) | Q(**{f"{done}__isnull": True}) & by_another


TELL_OF_READINGS = sorted(NOTICES_OF_SCREENINGS)


OF_NO_PATIENT = ("alarm", "switch", "suspension", "endpoint")
THINGS = ("screening", "signature", "follow_up", "opening", "erasure", "hold", *OF_NO_PATIENT)


# Of those that are seen to on a page of all their kind.
PAGES = {
    NoticeKind.ALARM: "dashboard",
    NoticeKind.SWITCH_ASKED: "models",
    NoticeKind.RESUME_ASKED: "models",
    NoticeKind.ERASURE_ASKED: "erasures",
    NoticeKind.CHART_OPENED: "openings",
}


def is_about(thing: str, *kinds: str) -> Q:
    """Notices of these kinds name this thing and no other; those of alarms and of models have no patient."""
    empty = {f"{name}__isnull": name != thing for name in THINGS}
    return Q(kind__in=kinds, patient__isnull=thing in OF_NO_PATIENT, **empty)


class Notice(PatientRecord):
    """One person is told of one thing, once. Never changed but for when she saw it and when it was mailed."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="+")  # not of all
    recipient = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=NoticeKind.choices)
    screening = models.ForeignKey("screening.Screening", on_delete=models.PROTECT, null=True, related_name="notices")
    signature = models.ForeignKey("screening.Signature", on_delete=models.PROTECT, null=True, related_name="notices")
    follow_up = models.ForeignKey("screening.FollowUp", on_delete=models.PROTECT, null=True, related_name="notices")
    alarm = models.ForeignKey("screening.Alarm", on_delete=models.PROTECT, null=True, related_name="notices")
    switch = models.ForeignKey("screening.SwitchRequest", on_delete=models.PROTECT, null=True, related_name="notices")
    suspension = models.ForeignKey("screening.Suspension", on_delete=models.PROTECT, null=True, related_name="notices")
    opening = models.ForeignKey(ChartOpening, on_delete=models.PROTECT, null=True, related_name="notices")
    erasure = models.ForeignKey(Erasure, on_delete=models.PROTECT, null=True, related_name="+")
    hold = models.ForeignKey(LegalHold, on_delete=models.PROTECT, null=True, related_name="+")
    # Named, not imported: what tells other systems stands above the record.
    endpoint = models.ForeignKey("api.WebhookEndpoint", on_delete=models.PROTECT, null=True, related_name="+")
    by_mail = models.BooleanField()
    seen_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)

    objects = NoticeQuerySet.as_manager()
    # It only leads there, and what it leads to asks for itself.
    is_in_the_chart = False
    outlives_erasure = True

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["recipient", "kind", "screening"], name="notice_of_a_screening_once"),
            models.UniqueConstraint(fields=["recipient", "signature"], name="notice_of_a_signature_once"),
            models.UniqueConstraint(fields=["recipient", "follow_up"], name="notice_of_a_follow_up_once"),
            models.UniqueConstraint(fields=["recipient", "alarm"], name="notice_of_an_alarm_once"),
            models.UniqueConstraint(fields=["recipient", "switch"], name="notice_of_a_switch_once"),
            models.UniqueConstraint(fields=["recipient", "suspension"], name="notice_of_a_suspension_once"),
            models.UniqueConstraint(fields=["recipient", "opening"], name="notice_of_an_opening_once"),
            models.UniqueConstraint(fields=["recipient", "erasure"], name="notice_of_an_erasure_once"),
            models.UniqueConstraint(fields=["recipient", "hold"], name="notice_of_a_hold_once"),
            models.UniqueConstraint(fields=["recipient", "endpoint"], name="notice_of_a_webhook_once"),
            models.CheckConstraint(
                condition=is_about("screening", *sorted(NOTICES_OF_SCREENINGS))
                | is_about("signature", NoticeKind.REVIEW_SIGNED)
                | is_about("follow_up", NoticeKind.FOLLOW_UP_OVERDUE)
                | is_about("alarm", NoticeKind.ALARM)
                | is_about("switch", NoticeKind.SWITCH_ASKED)
                | is_about("suspension", NoticeKind.RESUME_ASKED)
                | is_about("opening", NoticeKind.CHART_OPENED)
                | is_about("erasure", NoticeKind.ERASURE_ASKED)
                | is_about("hold", NoticeKind.LIFT_ASKED)
                | is_about("endpoint", NoticeKind.WEBHOOK_DISABLED),
                name="notice_is_about_what_its_kind_says",
            ),
        ]
        indexes = [
            models.Index(fields=["recipient", "clinic"], condition=Q(seen_at__isnull=True), name="notice_unseen"),
            models.Index(
                fields=["clinic", "created_at"],
                condition=Q(seen_at__isnull=True, mailed_at__isnull=True, by_mail=True),
                name="notice_to_be_mailed",
            ),
        ]

    def __str__(self) -> str:
        return f"notice {self.pk}"

    def get_absolute_url(self) -> str:
        """The page of what it is about."""
        match self.kind:
            case NoticeKind.HIGH_READING | NoticeKind.UNFIT_PHOTOGRAPH | NoticeKind.RETAKE:
                return reverse("screening", args=[self.screening_id])
            case NoticeKind.REVIEW_SIGNED:
                return reverse("visit", args=[self.signature.visit_id])
            case NoticeKind.FOLLOW_UP_OVERDUE:
                return reverse("lesion", args=[self.follow_up.lesion_id])
            case NoticeKind.LIFT_ASKED:
                return reverse("patient_chart", args=[self.patient_id])
            case kind if kind in PAGES:
                return reverse(PAGES[kind])
            case NoticeKind.WEBHOOK_DISABLED:
                return reverse("webhook", args=[self.endpoint_id])
            case _:
                raise ValueError(f"{self.kind} leads nowhere.")


class NoticeChoice(ClinicRecord):
    """How one person wants to be told of one kind of thing in one clinic; without a row, here and by e-mail."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20, choices=NoticeKind.choices)
    way = models.CharField(max_length=8, choices=NoticeWay.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic", "person", "kind"], name="notice_choice_one_each"),
            models.CheckConstraint(condition=Q(way__in=NoticeWay.values), name="notice_way_known"),
            models.CheckConstraint(
                condition=Q(kind__in=sorted(set(NoticeKind.values) - ALWAYS_TOLD)), name="notice_can_be_declined"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.way}"
