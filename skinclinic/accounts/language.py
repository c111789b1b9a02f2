"""The language of an answer: what the person chose, else what her browser asks for; for programs it is English."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

if TYPE_CHECKING:
    from skinclinic.accounts.models import User

FOR_PROGRAMS = ("/api/", "/healthz", "/readyz")


class LanguageMiddleware:
    """Speaks as the browser asks, by our cookie or its own header, until `speak_to` knows the person.

    Stands above what may fail, so that also a page about a database that is away is in her language; whatever was
    spoken within a request ends with it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for_programs = is_for_programs(request)
        asked = settings.LANGUAGE_CODE if for_programs else translation.get_language_from_request(request)
        with translation.override(asked):
            response = self.get_response(request)
            spoken = translation.get_language()
        if not response.headers.get("Content-Type", "").startswith("image/"):
            response.headers.setdefault("Content-Language", spoken)
            if not for_programs:
                patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


def is_for_programs(request: HttpRequest) -> bool:
    return request.path_info.startswith(FOR_PROGRAMS)


def speak_to(request: HttpRequest) -> None:
    """From here on in this request in the language that the signed-in person chose, if she chose one."""
    if not is_for_programs(request) and request.user.is_authenticated and is_spoken(request.user.language):
        translation.activate(request.user.language)


def spoken_by(person: "User | None") -> str:
    """What is written for her while she asks for nothing herself."""
    return person.language if person and is_spoken(person.language) else settings.LANGUAGE_CODE


def is_spoken(language: str) -> bool:
    """Of a language that was taken away again, a person's choice is left."""
    return language in dict(settings.LANGUAGES)
