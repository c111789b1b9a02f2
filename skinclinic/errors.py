"""The base of every refusal. Its message is a sentence the person can act on; it knows nothing of HTTP."""


class ClinicError(Exception):
    """Something was refused, for a reason that is told."""


class NotAllowed(ClinicError):
    """A member of the clinic without the right for this act."""


class Elsewhere(ClinicError):
    """There is a page to be seen first, at `address`; from there she comes back."""

    def __init__(self, sentence: str, address: str):
        super().__init__(sentence)
        self.address = address


class StaleForm(ClinicError):
    """The page was opened on something that has changed since."""


class Gone(ClinicError):
    """It was here, and was erased on purpose; it does not come back."""
