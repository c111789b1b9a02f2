"""People, clinics, and who may do what where."""

import hashlib
import uuid
import zoneinfo
from collections.abc import Mapping

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone, translation
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from skinclinic.audit.acting import Actor
from skinclinic.text import validate_one_line


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. What she may do comes from her memberships; `is_staff` is the operator, who sees no patient data."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField("e-mail address", unique=True)
    full_name = models.CharField("full name", max_length=150)
    is_staff = models.BooleanField("operator", default=False)
    is_active = models.BooleanField("active", default=True)
    date_joined = models.DateTimeField(default=timezone.now)
    language = models.CharField(max_length=8, blank=True, help_text="Empty: what the browser asks for.")
    sessions_ended_at = models.DateTimeField(null=True, help_text="What was locked before is unlocked no more.")

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["full_name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once_in_any_case")]

    def __str__(self) -> str:
        return self.full_name or self.email

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name.split(" ")[0]

    def actor(self) -> Actor:
        """Herself, in no clinic yet."""
        return Actor(id=str(self.pk), name=self.full_name, user_id=self.pk)


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(gettext("This is no time zone; write one such as Europe/Vienna."))


class UnreviewedReadings(models.TextChoices):
    """What clinicians see of a reading before it is signed."""

    ALWAYS = "always", _("Show them as “not yet reviewed”")
    NOT_LOW = "not_low", _("Show them as “not yet reviewed”, but no low ones")
    NEVER = "never", _("Show none")


MOST_DUE_HOURS = 24 * 365
MOST_RETENTION_YEARS = 100
# What a clinic says while nobody in it has written anything else; each reader is told it in her language.
ASSUMED = gettext_noop("assumed when the clinic was opened")
LETTER_ADVICE = gettext_noop(
    "Look at your skin once a month. Come back earlier than agreed if a spot grows, changes its colour or its shape, "
    "itches, bleeds or does not heal within four weeks, or if a new one looks different from all the others.\n"
    "A photograph does not show everything. If something worries you, call us: you need no appointment to ask.\n"
    "Protect your skin from the sun, and never use a sunbed."
)
OPENING_TEXTS = (ASSUMED,)


def advice_in(language: str, written: Mapping[str, str]) -> str:
    """What a letter in this language ends with: as the clinic has written it, else as the portal says it there."""
    with translation.override(language):
        return written.get(language) or gettext(LETTER_ADVICE)


def written_advice(texts: Mapping[str, str]) -> dict[str, str]:
    """What of a form's texts, by language, the clinic has written itself."""
    lines = {language: "\n".join(text.splitlines()) for language, text in texts.items()}
    return {language: text for language, text in lines.items() if text and text != advice_in(language, {})}


def as_told(text: str) -> str:
    """A clinic's own text as it was written, and one that nobody wrote in the language of who reads it."""
    return gettext(text) if text in OPENING_TEXTS else text


def as_kept(text: str) -> str:
    """The other way: what a form gives back of a text that nobody wrote is not hers now."""
    lines = "\n".join(text.splitlines())
    return next((opening for opening in OPENING_TEXTS if lines == gettext(opening)), lines)


class Clinic(models.Model):
    """The tenant: every record belongs to one clinic, and no other clinic sees it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    expected_malignant_share = models.FloatField(
        default=0.04,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.999)],
        help_text="The share of photographed lesions expected to be malignant. Expected, not measured.",
    )
    expected_malignant_source = models.CharField(max_length=200, default=ASSUMED)
    expected_malignant_on = models.DateField(default=timezone.localdate, help_text="Of what the source says.")
    blind_first_reading = models.BooleanField(
        default=False, help_text="A reviewer gives her first opinion on a lesion before she is shown the reading."
    )
    second_reading_of_high = models.BooleanField(default=False, help_text="A second reader looks at high bands.")
    second_reading_of_differing = models.BooleanField(
        default=False, help_text="A second reader looks where the first one differs from the reading."
    )
    second_reading_percent = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(100)],
        help_text="Of all other photographs, drawn at random, a second reader looks at so many in a hundred.",
    )
    unreviewed_readings = models.CharField(
        max_length=8,
        choices=UnreviewedReadings.choices,
        default=UnreviewedReadings.NOT_LOW,
        help_text="What clinicians see of a reading that no reviewer has signed yet.",
    )
    due_hours_urgent = models.PositiveSmallIntegerField(default=24, help_text="Until an urgent visit is reviewed.")
    due_hours_soon = models.PositiveSmallIntegerField(default=72)
    due_hours_routine = models.PositiveSmallIntegerField(default=168)
    letter_advice = models.JSONField(
        default=dict, blank=True, help_text="What patients' letters end with, by language; else the portal's own words."
    )
    address = models.TextField(max_length=300, blank=True, help_text="Printed on letters and reports.")
    phone = models.CharField(max_length=40, blank=True, validators=[validate_one_line])
    retention_years = models.PositiveSmallIntegerField(
        default=30, help_text="For how long records are to be kept after the last visit. Nothing is erased by itself."
    )
    approver = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Agrees to what the only manager asks for.",
    )
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(retention_years__gte=1, retention_years__lte=MOST_RETENTION_YEARS),
                name="clinic_retention_is_some_years",
            ),
            models.CheckConstraint(
                condition=models.Q(expected_malignant_share__gt=0, expected_malignant_share__lt=1),
                name="clinic_malignant_share_is_a_share",
            ),
            models.CheckConstraint(
                condition=models.Q(second_reading_percent__lte=100), name="clinic_second_reading_is_a_share"
            ),
            models.CheckConstraint(
                condition=models.Q(unreviewed_readings__in=UnreviewedReadings.values),
                name="clinic_unreviewed_readings_known",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    due_hours_urgent__gte=1,
                    due_hours_soon__gte=models.F("due_hours_urgent"),
                    due_hours_routine__gte=models.F("due_hours_soon"),
                    due_hours_routine__lte=MOST_DUE_HOURS,
                ),
                name="clinic_due_hours_in_order",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def letterhead(self) -> list[str]:
        """Below its name, where it is and how to reach it, as far as a manager has said so."""
        called = [gettext("Telephone %(number)s") % {"number": self.phone}] if self.phone else []
        return [*self.address.splitlines(), *called]

    @property
    def asks_second_reader(self) -> bool:
        return self.second_reading_of_high or self.second_reading_of_differing or self.second_reading_percent > 0


class Role(models.TextChoices):
    CLINICIAN = "clinician", _("Clinician")
    REVIEWER = "reviewer", _("Reviewer")
    MANAGER = "manager", _("Manager")
    AUDITOR = "auditor", _("Auditor")


class MembershipQuerySet(models.QuerySet["Membership"]):
    def active(self) -> "MembershipQuerySet":
        return self.filter(is_active=True)

    def visible_to(self, actor: Actor) -> "MembershipQuerySet":
        if actor.clinic_id is None:
            return self.none()
        return self.filter(clinic_id=actor.clinic_id)


class Membership(models.Model):
    """What one person may do in one clinic."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="memberships")
    roles = ArrayField(models.CharField(max_length=16, choices=Role.choices))
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "clinic"], name="membership_once_per_clinic"),
            models.CheckConstraint(
                condition=models.Q(roles__contained_by=Role.values, roles__len__gt=0), name="membership_roles_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.clinic}"

    def actor(self) -> Actor:
        return self.user.actor().in_clinic(self.clinic_id, self.roles)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def visible_to(self, actor: Actor) -> "InvitationQuerySet":
        if actor.clinic_id is None:
            return self.none()
        return self.filter(clinic_id=actor.clinic_id)

    def open(self) -> "InvitationQuerySet":
        """Neither taken nor withdrawn; one that is too old can be sent again."""
        return self.filter(accepted_at__isnull=True, withdrawn_at__isnull=True)

    def with_token(self, token: str) -> "InvitationQuerySet":
        return self.open().filter(token_hash=digest(token), expires_at__gt=timezone.now())


class Invitation(models.Model):
    """A link by e-mail that lets one person in. The token itself is only in the mail."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    email = models.EmailField(max_length=254)
    roles = ArrayField(models.CharField(max_length=16, choices=Role.choices))
    as_approver = models.BooleanField(default=False, help_text="She is the clinic's approver once she has joined.")
    token_hash = models.CharField(max_length=64)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                models.F("clinic"),
                Lower("email"),
                condition=models.Q(accepted_at__isnull=True, withdrawn_at__isnull=True),
                name="invitation_open_once",
            ),
            models.UniqueConstraint(fields=["token_hash"], name="invitation_token_once"),
            models.CheckConstraint(
                condition=models.Q(roles__contained_by=Role.values, roles__len__gt=0), name="invitation_roles_known"
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at__isnull=True, accepted_by__isnull=True)
                | models.Q(accepted_at__isnull=False, accepted_by__isnull=False, withdrawn_at__isnull=True),
                name="invitation_accepted_by_someone",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk}"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class IdentityProviderQuerySet(models.QuerySet["IdentityProvider"]):
    def visible_to(self, actor: Actor) -> "IdentityProviderQuerySet":
        if actor.clinic_id is None:
            return self.none()
        return self.filter(clinic_id=actor.clinic_id)

    def enabled(self) -> "IdentityProviderQuerySet":
        return self.filter(is_enabled=True)


class IdentityProvider(models.Model):
    """Where a clinic's people sign in at their hospital, by OpenID Connect (decision 041).

    What it offers is as its discovery document said when it was last read.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.OneToOneField(Clinic, on_delete=models.PROTECT, related_name="identity_provider")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    name = models.CharField(max_length=40, help_text="On the button.")
    issuer = models.CharField(max_length=400)
    client_id = models.CharField(max_length=190)
    client_secret = models.TextField(help_text="Encrypted.")
    is_enabled = models.BooleanField(default=False)
    is_required = models.BooleanField(default=False, help_text="Members come in no other way.")
    asks_second_factor = models.BooleanField(default=False, help_text="So it is not asked for here.")
    end_session_endpoint = models.CharField(max_length=400, blank=True)
    offers_logout = models.BooleanField(default=False, help_text="It tells us when a session there has ended.")
    offers_refresh = models.BooleanField(default=False, help_text="It can be asked whether a session there goes on.")
    offers_offline = models.BooleanField(default=False, help_text="It gives refresh tokens for offline_access.")
    looked_at = models.DateTimeField(null=True)

    objects = IdentityProviderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_required=False) | models.Q(is_enabled=True),
                name="identity_provider_required_is_enabled",
            ),
        ]

    def __str__(self) -> str:
        return f"identity provider {self.pk}"


class ProviderSession(models.Model):
    """A session here that began at a clinic's identity provider, and whose it is there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)
    subject = models.CharField(max_length=191)
    sid = models.CharField(max_length=255, blank=True)
    refresh_token = models.TextField(blank=True, help_text="Encrypted.")
    began_at = models.DateTimeField(default=timezone.now)
    checked_at = models.DateTimeField(default=timezone.now, help_text="When the provider last said that it goes on.")

    class Meta:
        indexes = [models.Index(fields=["clinic", "subject"], name="provider_session_subject")]

    def __str__(self) -> str:
        return f"provider session {self.pk}"
