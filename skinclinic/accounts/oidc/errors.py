"""Why somebody does not come in by her hospital, each with a sentence for her or for whoever set it up."""

from skinclinic.errors import ClinicError


class ProviderUnfit(ClinicError):
    """What the identity provider says of itself will not do, or it cannot be reached."""


class TokenRefused(ClinicError):
    """A token that the provider did not give, or not for this."""


class NotLetIn(ClinicError):
    """The provider knows her, and the clinic does not let her in."""


class NotConfirmedThere(ClinicError):
    """She went to the provider to confirm that it is her, and that did not come out."""


class NotEverybodyOut(ClinicError):
    """It would leave the clinic without a way in."""
