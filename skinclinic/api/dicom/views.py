"""STOW-RS (PS3.18 10.5): objects in. QIDO and WADO are not offered; a photograph goes out by the REST API."""

from collections.abc import Iterator
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from skinclinic.accounts.middleware import request_acting
from skinclinic.api.dicom.answers import (
    NOT_READ,
    DicomRenderer,
    Outcome,
    PlainRenderer,
    answer_of,
    status_of,
)
from skinclinic.api.dicom.bodies import MOST_PARTS, parts_of
from skinclinic.api.dicom.storing import store_object


class StudiesView(APIView):
    """Opens transactions of its own, one for each object, and reads the body itself as it arrives."""

    schema = None
    scope = "dicom"
    required_right = "write"
    renderer_classes = [DicomRenderer, PlainRenderer]
    http_method_names = ["post", "options"]

    def post(self, request: Request, study: str = "") -> Response:
        with request_acting(request._request):
            zone = ZoneInfo(request._request.clinic.time_zone)
        outcomes = list(self.outcomes(request._request, study, zone))
        if not outcomes:
            raise ParseError("There is no object in this body.")
        return Response(answer_of(outcomes), status=status_of(outcomes))

    def outcomes(self, http: Any, study: str, zone: ZoneInfo) -> Iterator[Outcome]:
        parts = parts_of(http)
        for part in islice(parts, MOST_PARTS):
            yield store_object(http, part, study=study, zone=zone)
        if next(parts, None) is not None:
            yield Outcome("", "", NOT_READ)


studies = StudiesView.as_view()
studies.own_transaction = True  # type: ignore[attr-defined]
