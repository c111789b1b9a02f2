from typing import Any

from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import FileUploadParser, JSONParser


class BoundedJSONParser(JSONParser):
    """JSON as it comes from systems, not from those who try how deep we read."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("This JSON is nested too deeply.") from error


class PhotographParser(FileUploadParser):
    """The bytes of a photograph alone; they land in `file`."""

    media_type = "image/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        parsed = super().parse(stream, media_type, parser_context)
        # As of a form, the file is closed when the request is.
        http = parser_context["request"]._request
        http._post, http._files = QueryDict(), MultiValueDict({name: [file] for name, file in parsed.files.items()})
        return parsed

    def get_filename(self, stream: Any, media_type: str | None, parser_context: Any) -> str:
        return "photograph"


class DicomParser(PhotographParser):
    """A DICOM object alone."""

    media_type = "application/dicom"
