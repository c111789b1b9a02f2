"""Opening a clinic and letting people in."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from skinclinic.accounts.models import LETTER_ADVICE, Clinic, Membership, Role, User, advice_in, as_kept, written_advice
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.audit.models import AuditEvent
from skinclinic.errors import ClinicError

# What a manager decides of how photographs are reviewed, and of what is told of them.
REVIEWING = (
    "blind_first_reading",
    "second_reading_of_high",
    "second_reading_of_differing",
    "second_reading_percent",
    "unreviewed_readings",
    "due_hours_urgent",
    "due_hours_soon",
    "due_hours_routine",
    "letter_advice",
    "address",
    "phone",
)


class AlreadyOpen(ClinicError):
    """The first-run page was used already."""


class AlreadyMember(ClinicError):
    """A person has one membership in a clinic, with all her roles in it."""


class NoSuchClinic(ClinicError):
    """No clinic of this installation has the name."""


def actor_in(clinic_id: UUID, user: User | None, role: str) -> Actor | None:
    """Herself, as long as she may act there in this role: for what is done in her name while she is away."""
    membership = Membership.objects.active().filter(user=user, clinic=clinic_id, user__is_active=True)
    found = membership.select_related("user").first()
    return found.actor() if found and role in found.roles else None


def find_clinic(name: str) -> Clinic:
    """Raises NoSuchClinic, which names those there are."""
    found = Clinic.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Clinic.objects.order_by("name").values_list("name", flat=True)) or "none yet"
        raise NoSuchClinic(f"There is no clinic {name}. There are: {known}.")
    return found


def open_clinic(*, name: str, time_zone: str = "UTC", is_demo: bool = False) -> Clinic:
    return Clinic.objects.create(name=name, time_zone=time_zone, is_demo=is_demo)


def expect_malignant_share(*, actor: Actor, share: float, source: str, on: date) -> None:
    """What the clinic's readings are weighed with; `source` says where it comes from, `on` of which day that is."""
    Clinic.objects.filter(pk=actor.own_clinic()).update(
        expected_malignant_share=share, expected_malignant_source=as_kept(source), expected_malignant_on=on
    )


def decide_reviewing(*, actor: Actor, **decided: bool | int | str | Mapping[str, str]) -> None:
    """How the clinic's photographs are reviewed: any of REVIEWING, by name."""
    if unknown := decided.keys() - set(REVIEWING):
        raise ValueError(f"{', '.join(unknown)}: nothing that a clinic decides of its reviewing.")
    if isinstance(advice := decided.get("letter_advice"), Mapping):
        decided["letter_advice"] = written_advice(advice)
    Clinic.objects.filter(pk=actor.own_clinic()).update(**decided)


def decide_keeping(*, actor: Actor, time_zone: str, retention_years: int) -> None:
    """The clinic's clock, and for how long its records are to be kept."""
    Clinic.objects.filter(pk=actor.own_clinic()).update(time_zone=time_zone, retention_years=retention_years)


def letter_advice_at(clinic: Clinic, at: datetime, language: str) -> str:
    """What letters in this language ended with then, as the ledger has it."""
    changes = AuditEvent.objects.filter(subject_type=Clinic._meta.db_table, subject_id=str(clinic.pk))
    later = changes.filter(clinic_id=clinic.pk, action="update", at__gt=at, changes__has_key="letter_advice")
    first = later.order_by("pk").first()
    written = first.changes["letter_advice"][0] if first else clinic.letter_advice
    if isinstance(written, str):
        # Before it was written for each language there was one text for all of them.
        written = written_advice(dict.fromkeys(dict(settings.LANGUAGES), written)) if written != LETTER_ADVICE else {}
    return advice_in(language, written)


def choose_language_of(person: User, language: str) -> None:
    """What her pages and her mails are written in; empty for what her browser asks for."""
    person.language = language
    person.save(update_fields=["language"])


def let_in(*, clinic: Clinic, email: str, full_name: str, password: str | None, roles: Sequence[str]) -> Membership:
    """Give a person these roles in a clinic; she is made if nobody has this e-mail address yet.

    Raises AlreadyMember when she has roles there.
    """
    with acting(system(clinic_id=clinic.pk)):
        user = User.objects.filter(email__iexact=email).first()
        if user is None:
            user = User.objects.create_user(email, password, full_name=full_name)
        membership, is_new = Membership.objects.get_or_create(clinic=clinic, user=user, defaults={"roles": list(roles)})
        if not is_new:
            raise AlreadyMember(_("%(email)s belongs to %(clinic)s already.") % {"email": email, "clinic": clinic.name})
        return membership


def open_first_clinic(*, clinic_name: str, time_zone: str, full_name: str, email: str, password: str) -> Membership:
    """Open the installation's first clinic, once. Raises AlreadyOpen when there is one."""
    with transaction.atomic():
        lock_first_run()
        if not is_first_run():
            raise AlreadyOpen(_("This installation has a clinic already. Sign in, or ask its manager to let you in."))
        clinic = open_clinic(name=clinic_name, time_zone=time_zone)
        roles = [Role.MANAGER, Role.CLINICIAN, Role.REVIEWER]
        return let_in(clinic=clinic, email=email, full_name=full_name, password=password, roles=roles)


def is_first_run() -> bool:
    return not Clinic.objects.exists() and not User.objects.exists()


def lock_first_run() -> None:
    """Two people at the first-run page at once: the second waits, and then finds the clinic."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('first-run'))")
