"""The base of every refusal. Its message is a sentence the person can act on; it knows nothing of HTTP."""


class ClinicError(Exception):
    """Something was refused, for a reason that is told."""


class NotAllowed(ClinicError):
    """A member of the clinic without the right for this act."""


class StaleForm(ClinicError):
    """The page was opened on something that has changed since."""
