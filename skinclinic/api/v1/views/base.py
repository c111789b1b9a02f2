"""What every view of version 1 stands on: the clinic's own rows, each look on the ledger."""

from typing import Any
from uuid import UUID

from rest_framework import mixins
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from patients.erased import refuse_erased
from patients.models import Patient
from skinclinic.api.etags import tagged
from skinclinic.api.v1.filters import NamedFilters
from skinclinic.audit.record import record, record_page


class ClinicViewSet(GenericViewSet):
    """Rows of the client's clinic; an id of another clinic is not found. Every look is on the ledger."""

    scope: str
    # Where the method does not say it: a search is a POST that reads.
    required_right: str | None = None

    @property
    def filter_backends(self) -> list[Any]:
        """A list is narrowed, one thing is not."""
        return [NamedFilters] if getattr(self, "action", None) == "list" else []

    def get_queryset(self) -> Any:
        if not self.request.auth:
            return self.queryset.none()
        seen = self.queryset.visible_to(self.request.auth)
        return seen.without_erased() if getattr(self, "action", None) == "list" else seen

    def check_object_permissions(self, request: Request, obj: Any) -> None:
        """Raises RecordErased: what is asked for by its id is said to be gone, where a list leaves it out."""
        super().check_object_permissions(request, obj)
        refuse_erased(obj)


class Listed(mixins.ListModelMixin):
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        table = self.queryset.model._meta.db_table  # type: ignore[attr-defined]
        record_page("api_listed", subject_type=table, ids=[row["id"] for row in response.data["results"]])
        return response


class Retrieved(mixins.RetrieveModelMixin):
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_object()  # type: ignore[attr-defined]
        table = found._meta.db_table
        patient_id = found.pk if isinstance(found, Patient) else getattr(found, "patient_id", None)
        record("api_read", subject_type=table, subject_id=found.pk, patient_id=patient_id)
        return tagged(request, self.get_serializer(found).data)  # type: ignore[attr-defined]


def visible(model: Any, actor: Any, key: UUID) -> Any:
    found = model.objects.visible_to(actor).filter(pk=key).first()
    if found is None:
        raise NotFound(f"There is no such {model._meta.verbose_name}.")
    refuse_erased(found)
    return found
