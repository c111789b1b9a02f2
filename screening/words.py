"""What the model says, in the language of who reads it: `ml` knows no catalogue, so its sentences are marked here."""

from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from ml.cautions import CautionRule
from ml.contract import UNSCORABLE_REASONS
from ml.labels import DIAGNOSIS_NAMES

# Letter for letter as `ml` has them, which a test holds them to. What a later model adds is shown as it says it.
MARKED = frozenset(
    {
        gettext_noop("Actinic keratosis or intraepithelial carcinoma"),
        gettext_noop("Basal cell carcinoma"),
        gettext_noop("Benign keratosis-like lesion"),
        gettext_noop("Dermatofibroma"),
        gettext_noop("Melanoma"),
        gettext_noop("Melanocytic nevus"),
        gettext_noop("Vascular lesion"),
        gettext_noop("The photograph is too small to be read. Send one of at least 224 pixels on its shorter side."),
        gettext_noop("The photograph is too blurred to be read. Take it again with the lens on the skin."),
        gettext_noop("The photograph is too dark to be read. Take it again with the dermatoscope's light on."),
        gettext_noop("The photograph is too bright to be read. Take it again without a flash or a reflection."),
        gettext_noop("The photograph shows no lesion that stands out. Centre the lesion and take it again."),
        gettext_noop("The photograph has no colour, and the model reads by it. Take it again in colour."),
        gettext_noop(
            "This does not look like a dermoscopic photograph of skin, or hair, a ruler or a pen covers too much of "
            "it. Check the file, uncover the lesion and take it again."
        ),
        gettext_noop("The patient is under 18; the model was tested on adults. The score may be wrong either way."),
        gettext_noop("Skin type IV to VI; the model was tested on light skin. The score may be wrong either way."),
        gettext_noop(
            "The skin type is not recorded; the model was tested on light skin. The score may be wrong either way."
        ),
        gettext_noop("Palm, sole or nail; hardly any test photograph shows one. The score may be wrong either way."),
        gettext_noop("Mucosa or genital skin; no malignant test lesion lay there. The score may be wrong either way."),
        gettext_noop(
            "Not pigmented; the test collection is one of pigmented lesions. The score may be wrong either way."
        ),
        gettext_noop("Ulcerated; such lesions were not tested apart. The score may be wrong either way."),
        gettext_noop(
            "Squamous cell carcinoma suspected; the model knows no invasive one. The score may be wrong either way."
        ),
        gettext_noop("sharpness"),
        gettext_noop("exposure"),
        gettext_noop("in domain"),
    }
)

# What a history calls the model's findings on a photograph and on its ground; their sentences would be too long there.
FINDINGS = {
    "too_small": _("too small"),
    "blurred": _("blurred"),
    "too_dark": _("too dark"),
    "too_bright": _("too bright"),
    "no_contrast": _("no contrast"),
    "no_colour": _("no colour"),
    "not_dermoscopy": _("not dermoscopic"),
    "young": _("young"),
    "dark_skin": _("dark skin"),
    "skin_type_unknown": _("skin type unknown"),
    "acral": _("acral"),
    "mucosa": _("mucosa"),
    "non_pigmented": _("not pigmented"),
    "ulcerated": _("ulcerated"),
    "suspected_scc": _("squamous cell carcinoma suspected"),
}


def unfit_reason(code: str) -> str:
    """Why a photograph cannot be read, and what to do about it."""
    return gettext(UNSCORABLE_REASONS.get(code, code))


def class_name(code: str) -> str:
    return gettext(DIAGNOSIS_NAMES[code])


def caution_sentence(rule: CautionRule) -> str:
    return gettext(rule.sentence)


def quality_name(code: str) -> str:
    return gettext(code.replace("_", " "))
