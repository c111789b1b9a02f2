from datetime import date

from django.core.exceptions import ValidationError
from django.utils import timezone

OLDEST = 125


def validate_past_date(day: date) -> None:
    """A day that has been, in a lifetime."""
    if day > timezone.localdate():
        raise ValidationError("This day has not come yet. Check the date.")
    if day.year < timezone.localdate().year - OLDEST:
        raise ValidationError(f"This is more than {OLDEST} years ago. Check the year.")
