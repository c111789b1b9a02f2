"""Refusals of the FHIR side that REST has no word for."""

from rest_framework import exceptions, status


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
    """What was sent is FHIR, and is not taken; `expression` names the element."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, sentence: str, expression: str = ""):
        super().__init__(sentence)
        self.expression = expression
