"""Refusals of the FHIR side that REST has no word for."""

from rest_framework import exceptions, status

from skinclinic.errors import ClinicError


class BadSearch(exceptions.APIException):
    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid"


class MoreThanOne(exceptions.APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "More than one matches what If-None-Exist asks for, so nothing was made. Ask for less."


class BodyTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "This is larger than 25 MB of photograph in base64 can be. Send it in a smaller size."


class Unprocessable(exceptions.APIException):
    """What was sent is FHIR, and is not taken. `issues`: each a sentence and the element that it is about."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, *issues: tuple[str, str]):
        super().__init__(" ".join(sentence for sentence, _ in issues))
        self.issues = issues


class NumberTaken(ClinicError):
    """Another photograph of the clinic has this number."""
