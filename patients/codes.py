"""Coded lists of the record."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Sex(models.TextChoices):
    FEMALE = "female", _("Female")
    MALE = "male", _("Male")
    OTHER = "other", pgettext_lazy("sex", "Other")
    UNKNOWN = "unknown", _("Not recorded")


class SkinType(models.IntegerChoices):
    """Fitzpatrick's scale."""

    I = 1, _("I: always burns, never tans")  # noqa: E741
    II = 2, _("II: usually burns, tans a little")
    III = 3, _("III: sometimes burns, tans evenly")
    IV = 4, _("IV: seldom burns, tans well")
    V = 5, _("V: very seldom burns, brown skin")
    VI = 6, _("VI: never burns, dark brown or black skin")


class RiskFactor(models.TextChoices):
    """What makes a skin cancer likelier in this person, as she tells it. Nothing noted: nobody has asked."""

    NONE_KNOWN = "none_known", _("Asked: none known")
    MELANOMA = "melanoma", _("Earlier melanoma")
    SKIN_CANCER = "skin_cancer", _("Another earlier skin cancer")
    FAMILY_MELANOMA = "family_melanoma", _("Melanoma in a parent, sibling or child")
    MANY_NEVI = "many_nevi", _("More than 50 nevi")
    ATYPICAL_NEVI = "atypical_nevi", _("Atypical nevi")
    IMMUNOSUPPRESSED = "immunosuppressed", _("Immunosuppression or a transplant")
    SUNBURNS = "sunburns", _("Severe sunburns")
    ULTRAVIOLET = "ultraviolet", _("Sunbeds, or work outdoors")
    SYNDROME = "syndrome", _("A hereditary syndrome")


class ConsentKind(models.TextChoices):
    PHOTOGRAPH = "photograph", _("Photographs in the record")
    AI_READING = "ai_reading", _("Reading by the model")
    TEACHING = "teaching", _("Use in teaching")
    RESEARCH = "research", _("Use in research")


# What ends when a consent of the kind is withdrawn, and what stays as it is.
WITHDRAWAL = {
    ConsentKind.PHOTOGRAPH: (
        _("New photographs of this patient are refused, whoever sends them, imports too."),
        _(
            "What is in the record stays there, with its readings and reviews. Visits that wait are still reviewed. "
            "A photograph that should not be used any more is withdrawn on its own page."
        ),
    ),
    ConsentKind.AI_READING: (
        _("The model reads no photograph of this patient any more, those that wait to be read included."),
        _(
            "Readings that were made stay in the record and on reports. New photographs are stored, and reviewed by "
            "a doctor."
        ),
    ),
    ConsentKind.TEACHING: (
        _("Photographs of this patient may not be used in teaching any more."),
        _("The record stays. Copies that were handed out are not here: whoever has them must be told."),
    ),
    ConsentKind.RESEARCH: (
        _("Photographs of this patient may not be used in research any more."),
        _("The record stays. Copies that were handed out are not here: whoever has them must be told."),
    ),
}


class ConsentDecision(models.TextChoices):
    GIVEN = "given", _("Given")
    REFUSED = "refused", _("Refused")


class Urgency(models.TextChoices):
    ROUTINE = "routine", _("Routine")
    SOON = "soon", _("Soon")
    URGENT = "urgent", _("Urgent")


class HistoryItem(models.TextChoices):
    NEW = "new", _("New")
    CHANGING = "changing", _("Changing")
    BLEEDING = "bleeding", _("Bleeding")
    ITCHING = "itching", _("Itching")


class BodySite(models.TextChoices):
    SCALP = "scalp", _("Scalp")
    FACE = "face", _("Face")
    EAR = "ear", _("Ear")
    LIP = "lip", _("Lip or mouth")
    NECK = "neck", _("Neck")
    CHEST = "chest", _("Chest")
    ABDOMEN = "abdomen", _("Abdomen")
    BACK = "back", _("Back")
    BUTTOCK = "buttock", _("Buttock")
    GENITAL = "genital", _("Genital")
    UPPER_ARM = "upper_arm", _("Upper arm")
    FOREARM = "forearm", _("Forearm")
    HAND = "hand", _("Back of the hand")
    PALM = "palm", _("Palm")
    THIGH = "thigh", _("Thigh")
    LOWER_LEG = "lower_leg", _("Lower leg")
    FOOT = "foot", _("Back of the foot")
    SOLE = "sole", _("Sole")
    NAIL = "nail", _("Nail")


class Laterality(models.TextChoices):
    LEFT = "left", _("Left")
    RIGHT = "right", _("Right")
    MIDLINE = "midline", _("Midline")


class MapView(models.TextChoices):
    FRONT = "front", pgettext_lazy("body map", "Front")
    BACK = "back", pgettext_lazy("body map", "Back")


class IdentifierType(models.TextChoices):
    RECORD = "record", _("Record number")
    NATIONAL = "national", _("National number")
    INSURANCE = "insurance", _("Insurance number")
    OTHER = "other", _("Other")


class ErasureReason(models.TextChoices):
    """Why somebody's record is erased."""

    REQUEST = "request", _("The patient asks for it")
    RETENTION = "retention", _("The time for which records are kept has ended")
    MISTAKE = "mistake", _("Entered by mistake")
    OTHER = "other", _("Other")
