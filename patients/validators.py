from datetime import date

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

OLDEST = 125


def validate_past_date(day: date) -> None:
    """A day that has been, in a lifetime."""
    if day > timezone.localdate():
        raise ValidationError(_("This day has not come yet. Check the date."))
    if day.year < timezone.localdate().year - OLDEST:
        raise ValidationError(_("This is more than %(years)s years ago. Check the year.") % {"years": OLDEST})
