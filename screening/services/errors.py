from django.utils.translation import gettext as _

from skinclinic.errors import ClinicError, Gone, StaleForm


class StaleTransition(StaleForm):
    """The screening has moved on since the caller looked at it."""

    def __init__(self, sentence: str = ""):
        super().__init__(sentence or _("This was changed by somebody else just now. Load the page again and look."))


class PhotographsRefusedByPatient(ClinicError):
    def __init__(self) -> None:
        super().__init__(
            _("The patient refuses photographs in the record. Note the new decision first, if there is one.")
        )


class WrongPatient(ClinicError):
    """Visit and lesion belong to different patients."""


class OpinionMissing(ClinicError):
    """A visit is signed as a whole, and something in it has no opinion of the signer's yet."""


class OpinionContradictsItself(ClinicError):
    """A malignant diagnosis that is not suspicious, or that nothing is to be done about."""


class ReasonMissing(ClinicError):
    """An act that asks for a reason came without one: an opinion that differs, a withdrawal for something else."""


class ReadingUnseen(ClinicError):
    """A reading has arrived since the opinion was given, so that the signer has not seen it beside it."""


class ReadingRefusedByPatient(ClinicError):
    def __init__(self) -> None:
        super().__init__(_("The patient has not consented to a reading by the model. Note the decision first."))


class SecondReaderNeeded(ClinicError):
    """The clinic asks for a second reader before this visit is signed."""


class NotYours(ClinicError):
    """Somebody else's act: a visit that another reviewer has taken, an opinion that another one gave."""


class ReadingsSuspended(ClinicError):
    """A manager has stopped this model, or all readings of the clinic."""


class LesionContradicted(ClinicError):
    """Photographs of one lesion, judged in one visit, ask for opposite things."""


class PhotographErased(Gone):
    code = "patient-erased"

    def __init__(self) -> None:
        super().__init__(_("This photograph was erased with the patient whom it shows."))


class CannotErase(ClinicError):
    """Something of this patient is under way, or a hold stands."""
