"""Why somebody does not come in by her hospital, each with a sentence for her or for whoever set it up."""

from skinclinic.accounts.models import IdentityProvider, User
from skinclinic.errors import ClinicError


class ProviderUnfit(ClinicError):
    """What the identity provider says of itself will not do, or it cannot be reached."""


class TokenRefused(ClinicError):
    """A token that the provider did not give, or not for this."""


class NotLetIn(ClinicError):
    """The provider knows her, and the clinic does not let her in."""


class JoinFirst(NotLetIn):
    """The provider means somebody who has an account here, and she has not said yet that this is her."""

    def __init__(self, provider: IdentityProvider, person: User, subject: str):
        super().__init__()
        self.provider, self.person, self.subject = provider, person, subject


class NotConfirmedThere(ClinicError):
    """She went to the provider to confirm that it is her, and that did not come out."""


class NotEverybodyOut(ClinicError):
    """It would leave the clinic without a way in."""
