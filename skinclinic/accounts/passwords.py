"""What no password may be: one list for the first-run page, invitations, changes and resets."""

import re
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

from skinclinic.accounts.models import Clinic

MOST = 128
# zxcvbn takes no more, and what of a password it has judged strong does not grow weak by what follows.
JUDGED = 72
# Of 0 to 4: from 10^8 guesses on, which a lock-out and a slow hash make years of.
STRONG_ENOUGH = 3


class BoundsValidator:
    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > MOST:
            raise ValidationError(_("At most %(most)s characters.") % {"most": MOST}, code="password_too_long")
        if password.isdecimal():
            raise ValidationError(_("Digits alone are guessed soon. Use a few words in a row."), code="password_digits")

    def get_help_text(self) -> str:
        return _("At most %(most)s characters, and not digits alone.") % {"most": MOST}


class GuessableValidator:
    """No password of the lists of known ones, no pattern of a keyboard, and nothing made of her or the clinic's name.

    zxcvbn has the most used of the leaked passwords and how people vary them. What it says of one is English and
    ours alone: a person is told one sentence.
    """

    def validate(self, password: str, user: Any = None) -> None:
        known = list(known_of(user))
        if any(word in password.casefold() for word in known if len(word) > 4):
            raise ValidationError(
                _("Leave your name, your e-mail address and the clinic's name out of it."), code="password_too_similar"
            )
        if zxcvbn(password[:JUDGED], user_inputs=known)["score"] < STRONG_ENOUGH:
            raise ValidationError(
                _("This password, or one very like it, is on the lists of those who guess. Use a few words in a row."),
                code="password_too_common",
            )

    def get_help_text(self) -> str:
        return _("A few words in a row, without your name, your e-mail address and the clinic's name.")


def known_of(user: Any) -> Iterator[str]:
    """What others know of her, in words: her names, her address, and the clinics she belongs to or opens."""
    texts = [getattr(user, "full_name", ""), getattr(user, "email", ""), *getattr(user, "clinic_names", ())]
    if user is not None and user.pk:
        texts += Clinic.objects.filter(memberships__user=user.pk).values_list("name", flat=True)
    for text in filter(None, texts):
        yield "".join(re.findall(r"\w", text.casefold()))
        yield from re.findall(r"\w{3,}", text.casefold())
