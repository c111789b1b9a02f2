from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class InvitedOnly(DefaultAccountAdapter):
    """Nobody opens an account for herself: a manager invites her."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
