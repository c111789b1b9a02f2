"""What happened since a system last asked."""

from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from skinclinic.api.paging import number_in
from skinclinic.api.v1.filters import refuse_unknown
from skinclinic.api.v1.serializers import ChangesSerializer
from skinclinic.api.v1.views.base import ClinicViewSet
from skinclinic.audit.record import record
from skinclinic.events.changes import changes_since
from skinclinic.events.models import Event

MOST, PAGE = 1000, 100
LAST = 2**62
SINCE = OpenApiParameter(
    "since",
    {"type": "integer", "minimum": 0, "maximum": LAST},
    description="The `since` of your last answer; without it, from the start.",
)
PAGE_SIZE = OpenApiParameter(
    "page_size", {"type": "integer", "minimum": 1, "maximum": MOST}, description=f"{PAGE} without it."
)


class ChangesViewSet(ClinicViewSet):
    """Events of the clinic in an order that never has one put in before what you have read, however late it was
    committed. Ids only: what happened to them is at their own addresses."""

    queryset = Event.objects.all()
    scope = "screenings"
    pagination_class = None

    @extend_schema(parameters=[SINCE, PAGE_SIZE], responses=forced_singular_serializer(ChangesSerializer))
    def list(self, request: Request) -> Response:
        refuse_unknown(request, {"since"})
        since = number_in(request, "since", without=0, least=0, most=LAST)
        most = number_in(request, "page_size", without=PAGE, least=1, most=MOST)
        found = changes_since(actor=request.auth, number=since, most=most)
        record("api_listed", subject_type="events_event", detail={"since": since, "events": len(found)})
        shown = {"results": found, "since": found[-1].number if found else since}
        return Response(ChangesSerializer(shown).data)
