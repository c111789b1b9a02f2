"""Coded lists of the record."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Sex(models.TextChoices):
    FEMALE = "female", "Female"
    MALE = "male", "Male"
    OTHER = "other", "Other"
    UNKNOWN = "unknown", "Not recorded"


class SkinType(models.IntegerChoices):
    """Fitzpatrick's scale."""

    I = 1, "I: always burns, never tans"  # noqa: E741
    II = 2, "II: usually burns, tans a little"
    III = 3, "III: sometimes burns, tans evenly"
    IV = 4, "IV: seldom burns, tans well"
    V = 5, "V: very seldom burns, brown skin"
    VI = 6, "VI: never burns, dark brown or black skin"


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
    PHOTOGRAPH = "photograph", "Photographs in the record"
    AI_READING = "ai_reading", "Reading by the model"
    TEACHING = "teaching", "Use in teaching"
    RESEARCH = "research", "Use in research"


class ConsentDecision(models.TextChoices):
    GIVEN = "given", "Given"
    REFUSED = "refused", "Refused"


class Urgency(models.TextChoices):
    ROUTINE = "routine", "Routine"
    SOON = "soon", "Soon"
    URGENT = "urgent", "Urgent"


class HistoryItem(models.TextChoices):
    NEW = "new", "New"
    CHANGING = "changing", "Changing"
    BLEEDING = "bleeding", "Bleeding"
    ITCHING = "itching", "Itching"


class BodySite(models.TextChoices):
    SCALP = "scalp", "Scalp"
    FACE = "face", "Face"
    EAR = "ear", "Ear"
    LIP = "lip", "Lip or mouth"
    NECK = "neck", "Neck"
    CHEST = "chest", "Chest"
    ABDOMEN = "abdomen", "Abdomen"
    BACK = "back", "Back"
    BUTTOCK = "buttock", "Buttock"
    GENITAL = "genital", "Genital"
    UPPER_ARM = "upper_arm", "Upper arm"
    FOREARM = "forearm", "Forearm"
    HAND = "hand", "Back of the hand"
    PALM = "palm", "Palm"
    THIGH = "thigh", "Thigh"
    LOWER_LEG = "lower_leg", "Lower leg"
    FOOT = "foot", "Back of the foot"
    SOLE = "sole", "Sole"
    NAIL = "nail", "Nail"


class Laterality(models.TextChoices):
    LEFT = "left", "Left"
    RIGHT = "right", "Right"
    MIDLINE = "midline", "Midline"


class MapView(models.TextChoices):
    FRONT = "front", "Front"
    BACK = "back", "Back"


class IdentifierType(models.TextChoices):
    RECORD = "record", "Record number"
    NATIONAL = "national", "National number"
    INSURANCE = "insurance", "Insurance number"
    OTHER = "other", "Other"
