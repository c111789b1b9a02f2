from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils import translation

from skinclinic.accounts.language import is_spoken


class InvitedOnly(DefaultAccountAdapter):
    """Nobody opens an account for herself: a manager invites her."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict) -> None:
        """In the language of whom it is for: who asks for it at the sign-in page may sit at another's browser."""
        chosen = getattr(context.get("user"), "language", "")
        with translation.override(chosen if is_spoken(chosen) else translation.get_language()):
            super().send_mail(template_prefix, email, context)
