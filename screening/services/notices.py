"""Telling people what happened: from the outbox to their lists, and from there to their mail."""

import logging
import smtplib
import zoneinfo
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import ChartOpening, Erasure, LegalHold
from screening.cautions import shown_band
from screening.codes import ALWAYS_TOLD, NOTICES_OF_SCREENINGS, Band, NoticeKind, NoticeWay
from screening.dashboard.alarms import kept_from
from screening.models import (
    Alarm,
    FollowUp,
    Notice,
    NoticeChoice,
    Retake,
    Screening,
    Signature,
    Suspension,
    SwitchRequest,
)
from screening.status import ReadingStatus
from skinclinic.accounts.language import spoken_by
from skinclinic.accounts.models import Clinic, Membership, User
from skinclinic.audit.acting import CLINICIAN, MANAGER, REVIEWER, Actor, acting, system
from skinclinic.events.models import Event, EventType
from skinclinic.locks import next_in_spite_of_it

logger = logging.getLogger(__name__)
EVENTS_AT_ONCE = 500
PAUSE_BETWEEN_MAILS = timedelta(minutes=15)
OF_READINGS = {EventType.SCREENING_PREDICTED, EventType.SCREENING_UNSCORABLE}
OF_SIGNATURES = {EventType.REPORT_SIGNED, EventType.REPORT_AMENDED}


@dataclass(frozen=True)
class People:
    """The members of one clinic, and what each of them wants to be told."""

    clinic: Clinic
    actors: Sequence[Actor]
    ways: dict[tuple[UUID, str], str]

    def with_role(self, *roles: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.has_role(*roles)]

    def clinicians_of(self, clinician_id: UUID | None) -> list[Actor]:
        """The one whose it is; where it is nobody's, or hers who left, every clinician."""
        clinicians = self.with_role(CLINICIAN)
        return [actor for actor in clinicians if actor.user_id == clinician_id] or clinicians

    def who_may_agree(self, asker_id: UUID | None) -> list[Actor]:
        """The other managers; where there is none, the reviewers and the clinic's approver, who may agree as well."""
        others = [actor for actor in self.actors if actor.user_id != asker_id]
        managers = [actor for actor in others if actor.has_role(MANAGER)]
        approver = self.clinic.approver_id
        return managers or [actor for actor in others if actor.has_role(REVIEWER) or actor.user_id == approver]

    def notice(self, actor: Actor, kind: NoticeKind, patient_id: UUID | None, **about: UUID) -> Iterator[Notice]:
        """One notice, unless she does not want to be told."""
        way = self.ways.get((actor.person(), kind), NoticeWay.BOTH)
        if way != NoticeWay.NONE:
            yield Notice(
                clinic=self.clinic,
                patient_id=patient_id,
                recipient_id=actor.person(),
                kind=kind,
                by_mail=way == NoticeWay.BOTH,
                **about,
            )


def sweep_notices() -> None:
    """Tell everybody what is new, and mail what was not seen in time."""
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("notices", clinic), acting(system(clinic_id=clinic.pk)):
            people = people_of(clinic)
            hand_on_events(people)
            tell(of_overdue(people))
    # A mail server that is away keeps nobody's bell silent.
    for clinic in clinics:
        with next_in_spite_of_it("mails", clinic):
            if not mail_notices(clinic):
                return


def people_of(clinic: Clinic) -> People:
    memberships = Membership.objects.active().filter(clinic=clinic, user__is_active=True).select_related("user")
    choices = NoticeChoice.objects.filter(clinic=clinic).values_list("person", "kind", "way")
    ways = {(person, kind): way for person, kind, way in choices}
    return People(clinic, [membership.actor() for membership in memberships], ways)


def tell(notices: Iterable[Notice]) -> None:
    """Who was told of a thing is not told again."""
    Notice.objects.bulk_create(notices, ignore_conflicts=True)


def ring_anew(**about: Any) -> None:
    """What happens once more (asked after it was taken back, given again) is new once more to who knew of it."""
    Notice.objects.filter(**about).update(seen_at=None, mailed_at=None)


def hand_on_events(people: People) -> None:
    """Give the clinic's new events to all that read the outbox. Runs inside a transaction of the clinic."""
    waiting = Event.objects.filter(handed_on_at__isnull=True).order_by("id").select_for_update(skip_locked=True)
    events = list(waiting[:EVENTS_AT_ONCE])
    if not events:
        return
    ids = partial(ids_of, events)
    tell(
        [
            *of_openings(people, ids("opening", EventType.CHART_OPENED)),
            *of_readings(people, ids("screening", *OF_READINGS)),
            *of_signatures(people, ids("signature", *OF_SIGNATURES)),
            *of_retakes(people, ids("screening", EventType.RETAKE_ASSIGNED)),
            *of_alarms(people, ids("alarm", EventType.ALARM_RAISED)),
            *of_switches(people, ids("switch", EventType.SWITCH_ASKED)),
            *of_resuming(people, ids("suspension", EventType.RESUME_ASKED)),
            *of_erasures(people, ids("erasure", EventType.ERASURE_ASKED)),
            *of_lifting(people, ids("hold", EventType.LIFT_ASKED)),
            *of_disabled_webhooks(people, ids("endpoint", EventType.WEBHOOK_DISABLED)),
        ]
    )
    Event.objects.filter(pk__in=[event.pk for event in events]).update(handed_on_at=timezone.now())


def ids_of(events: Iterable[Event], thing: str, *types: EventType) -> set[str]:
    return {event.ids[thing] for event in events if event.type in types}


def of_readings(people: People, ids: set[str]) -> Iterator[Notice]:
    if not ids:
        return
    for actor in people.with_role(CLINICIAN, REVIEWER):
        read = Screening.objects.in_use().without_erased().filter(pk__in=ids).with_reading_for(actor)
        for screening in read.select_related("visit"):
            kind = kind_of(screening)
            is_hers = actor in people.clinicians_of(screening.visit.clinician_id)
            is_alarming = kind == NoticeKind.HIGH_READING and actor.has_role(REVIEWER)
            if kind and (is_hers or is_alarming):
                yield from people.notice(actor, kind, screening.patient_id, screening_id=screening.pk)


def kind_of(screening: Screening) -> NoticeKind | None:
    if screening.reading_status == ReadingStatus.UNSCORABLE:
        return NoticeKind.UNFIT_PHOTOGRAPH
    prediction = screening.prediction
    is_high = prediction is not None and shown_band(prediction.band, prediction.cautions) == Band.HIGH
    return NoticeKind.HIGH_READING if is_high else None


def of_signatures(people: People, ids: set[str]) -> Iterator[Notice]:
    """What was told of a photograph asks for nothing more once it is signed."""
    about_signed = Notice.objects.unseen().filter(
        kind__in=sorted(NOTICES_OF_SCREENINGS), screening__signature_id__in=ids
    )
    about_signed.update(seen_at=timezone.now())
    for signature in Signature.objects.filter(pk__in=ids).select_related("visit"):
        for actor in people.clinicians_of(signature.visit.clinician_id):
            if actor.user_id != signature.reviewer_id:
                kind = NoticeKind.REVIEW_SIGNED
                yield from people.notice(actor, kind, signature.patient_id, signature_id=signature.pk)


def of_retakes(people: People, ids: set[str]) -> Iterator[Notice]:
    for retake in Retake.objects.filter(screening_id__in=ids):
        for actor in people.actors:
            if actor.user_id == retake.assignee_id:
                ring_anew(recipient=actor.user_id, kind=NoticeKind.RETAKE, screening=retake.screening_id)
                yield from people.notice(actor, NoticeKind.RETAKE, retake.patient_id, screening_id=retake.screening_id)


def of_alarms(people: People, ids: set[str]) -> Iterator[Notice]:
    for alarm in Alarm.objects.open().filter(pk__in=ids):
        for actor in people.with_role(MANAGER):
            if alarm.code in kept_from(actor, people.clinic):
                continue
            yield from people.notice(actor, NoticeKind.ALARM, None, alarm_id=alarm.pk)


def of_switches(people: People, ids: set[str]) -> Iterator[Notice]:
    for asked in SwitchRequest.objects.open().filter(pk__in=ids):
        for actor in people.who_may_agree(asked.asked_by_id):
            yield from people.notice(actor, NoticeKind.SWITCH_ASKED, None, switch_id=asked.pk)


def of_resuming(people: People, ids: set[str]) -> Iterator[Notice]:
    kind = NoticeKind.RESUME_ASKED
    for stop in Suspension.objects.open().filter(pk__in=ids, resume_asked_by__isnull=False):
        ring_anew(kind=kind, suspension=stop)
        for actor in people.who_may_agree(stop.resume_asked_by_id):
            yield from people.notice(actor, kind, None, suspension_id=stop.pk)


def of_erasures(people: People, ids: set[str]) -> Iterator[Notice]:
    kind = NoticeKind.ERASURE_ASKED
    for asked in Erasure.objects.asked().filter(pk__in=ids):
        for actor in people.who_may_agree(asked.asked_by_id):
            yield from people.notice(actor, kind, asked.patient_id, erasure_id=asked.pk)


def of_lifting(people: People, ids: set[str]) -> Iterator[Notice]:
    kind = NoticeKind.LIFT_ASKED
    for hold in LegalHold.objects.open().filter(pk__in=ids, lift_asked_by__isnull=False):
        ring_anew(kind=kind, hold=hold)
        for actor in people.who_may_agree(hold.lift_asked_by_id):
            yield from people.notice(actor, kind, hold.patient_id, hold_id=hold.pk)


def of_openings(people: People, ids: set[str]) -> Iterator[Notice]:
    """Every manager but who opened it herself."""
    for opening in ChartOpening.objects.filter(pk__in=ids):
        for actor in people.with_role(MANAGER):
            if actor.user_id != opening.person_id:
                kind = NoticeKind.CHART_OPENED
                yield from people.notice(actor, kind, opening.patient_id, opening_id=opening.pk)


def of_disabled_webhooks(people: People, ids: set[str]) -> Iterator[Notice]:
    kind, keys = NoticeKind.WEBHOOK_DISABLED, [UUID(key) for key in ids]
    ring_anew(kind=kind, endpoint__in=keys)
    for key in keys:
        for actor in people.with_role(MANAGER):
            yield from people.notice(actor, kind, None, endpoint_id=key)


def of_overdue(people: People) -> Iterator[Notice]:
    today = timezone.localdate(timezone=zoneinfo.ZoneInfo(people.clinic.time_zone))
    overdue = FollowUp.objects.filter(clinic=people.clinic).open().filter(due_on__lt=today)
    for follow_up in overdue.filter(notices__isnull=True).order_by("due_on")[:EVENTS_AT_ONCE]:
        for actor in people.clinicians_of(follow_up.owner_id) or people.with_role(MANAGER):
            kind = NoticeKind.FOLLOW_UP_OVERDUE
            yield from people.notice(actor, kind, follow_up.patient_id, follow_up_id=follow_up.pk)


def mail_notices(clinic: Clinic) -> bool:
    """One mail to each person for all that she has not seen, and the next one after a pause or once she has looked.

    Returns False where the mail server is away; an address that it refuses is logged, and tried again at each sweep.
    """
    now = timezone.now()
    with acting(system(clinic_id=clinic.pk)):
        mailed = Notice.objects.filter(clinic=clinic).unseen().filter(mailed_at__gt=now - PAUSE_BETWEEN_MAILS)
        due = (
            Notice.objects.to_be_mailed()
            .filter(created_at__lte=now - timedelta(seconds=settings.NOTICE_MAIL_AFTER), recipient__is_active=True)
            .exclude(recipient__in=mailed.values("recipient"))
        )
        of_person: dict[User, list[Notice]] = defaultdict(list)
        for notice in due.select_related("recipient").order_by("created_at")[:EVENTS_AT_ONCE]:
            of_person[notice.recipient].append(notice)
    for person, notices in of_person.items():
        try:
            with translation.override(spoken_by(person)):
                send_notice_mail(person, clinic, notices)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as refusal:
            logger.warning("The mail server refuses a mail for %s: %s", person.pk, type(refusal).__name__)
            continue
        except (OSError, smtplib.SMTPException) as error:
            logger.warning("The mail server does not take mails: %s", type(error).__name__)
            return False
        with acting(system(clinic_id=clinic.pk)):
            Notice.objects.filter(pk__in=[notice.pk for notice in notices]).update(mailed_at=timezone.now())
    return True


def send_notice_mail(person: User, clinic: Clinic, notices: Sequence[Notice]) -> None:
    """How many things of which kind wait, and where to see them: no person, no finding."""
    counts = Counter(NoticeKind(notice.kind) for notice in notices)
    context = {
        "name": person.get_short_name(),
        "clinic": clinic.name,
        "counts": [(IN_A_MAIL[kind], count) for kind, count in counts.items()],
        "address": f"{settings.SITE_URL}{reverse('notices')}",
    }
    text = render_to_string("screening/notice_mail.txt", context)
    send_mail(_("skinclinic: something waits for you"), text, settings.DEFAULT_FROM_EMAIL, [person.email])


# What a mail may say of each kind, which others may read over her shoulder.
IN_A_MAIL = {
    NoticeKind.HIGH_READING: gettext_lazy("A photograph asks for attention"),
    NoticeKind.UNFIT_PHOTOGRAPH: gettext_lazy("A photograph is to be taken again"),
    NoticeKind.RETAKE: gettext_lazy("A photograph is to be taken again"),
    NoticeKind.REVIEW_SIGNED: gettext_lazy("A review is signed"),
    NoticeKind.FOLLOW_UP_OVERDUE: gettext_lazy("A follow-up is overdue"),
    NoticeKind.CHART_OPENED: gettext_lazy("A restricted chart was opened"),
    NoticeKind.ALARM: gettext_lazy("The dashboard raises an alarm"),
    NoticeKind.WEBHOOK_DISABLED: gettext_lazy("A webhook was disabled"),
    NoticeKind.SWITCH_ASKED: gettext_lazy("Your agreement is asked for"),
    NoticeKind.RESUME_ASKED: gettext_lazy("Your agreement is asked for"),
    NoticeKind.ERASURE_ASKED: gettext_lazy("Your agreement is asked for"),
    NoticeKind.LIFT_ASKED: gettext_lazy("Your agreement is asked for"),
}


def see_notices(*, actor: Actor, **about: Any) -> None:
    """Her unseen notices (`about`: of which screening, visit or lesion) are seen now."""
    mine = Notice.objects.visible_to(actor).filter(recipient=actor.user_id)
    mine.unseen().filter(**about).update(seen_at=timezone.now())


def choose_notices(*, actor: Actor, ways: dict[str, str]) -> None:
    """How she wants to be told from now on, by kind. What cannot be declined is left out by the form, and refused."""
    if always := ways.keys() & ALWAYS_TOLD:
        raise ValueError(f"{', '.join(always)} is always told.")
    clinic_id, person_id = actor.own_clinic(), actor.person()
    chosen = [NoticeChoice(clinic_id=clinic_id, person_id=person_id, kind=kind, way=way) for kind, way in ways.items()]
    NoticeChoice.objects.bulk_create(
        chosen, update_conflicts=True, unique_fields=["clinic", "person", "kind"], update_fields=["way"]
    )
