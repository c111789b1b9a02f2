"""Patient: who she is. A record that was merged into another says so by its link."""

from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from patients.codes import IdentifierType, Sex
from patients.models import Patient, PatientIdentifier
from skinclinic.api.fhir.elements import Dict, coding, concept, filled, reference, resource
from skinclinic.api.fhir.errors import BadSearch
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.fhir.searching import Asked, any_of, by_date, no_modifier, number, token
from skinclinic.audit.acting import Actor
from skinclinic.audit.models import AuditEvent

NUMBER_TYPES = {
    IdentifierType.RECORD: concept(
        coding("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "Medical record number")
    ),
    IdentifierType.NATIONAL: concept(
        coding("http://terminology.hl7.org/CodeSystem/v2-0203", "NI", "National unique individual identifier")
    ),
}
OF_PATIENT = ("patients_patient", "patients_patientidentity", "patients_patientidentifier")


def by_identifier(asked: Asked) -> Q:
    no_modifier(asked)
    return any_of(numbered(*token(value)) for value in asked.values)


def numbered(system: str | None, value: str) -> Q:
    return Q(pk__in=PatientIdentifier.objects.filter(**number(system, value)).values("patient"))


def by_name(asked: Asked) -> Q:
    """A part of the name begins with it; `:contains` and `:exact` as the standard has them."""
    lookups = {"": "istartswith", "contains": "icontains", "exact": "exact"}
    if asked.modifier not in lookups:
        raise BadSearch("name is asked for as it is, with :contains or with :exact.")
    lookup = lookups[asked.modifier]
    return any_of(
        Q(**{f"identity__family_name__{lookup}": value}) | Q(**{f"identity__given_name__{lookup}": value})
        for value in asked.values
    )


def last_changed() -> Coalesce:
    """As the ledger has it: nothing else keeps when a number or a name was corrected."""
    lines = AuditEvent.objects.filter(
        patient_id=OuterRef("pk"), subject_type__in=OF_PATIENT, action__in=["insert", "update"]
    )
    return Coalesce(Subquery(lines.order_by("-id").values("at")[:1]), "created_at", output_field=DateTimeField())


class PatientResource(Resource):
    name = "Patient"
    model = Patient
    conditions = {
        "identifier": by_identifier,
        "birthdate": by_date("identity__birth_date", is_day=True),
        "name": by_name,
    }

    def rows(self, actor: Actor) -> QuerySet[Any]:
        seen = Patient.objects.visible_to(actor).with_identity().prefetch_related("merged_from")
        return seen.annotate(updated=last_changed())

    def of_patients(self, rows: QuerySet[Any], patients: list[UUID]) -> QuerySet[Any]:
        return rows.filter(pk__in=patients)

    def patient_of(self, row: Any) -> UUID:
        return row.pk

    def build(self, row: Any) -> list[Dict]:
        identity = row.identity
        return [
            resource(
                "Patient",
                row.pk,
                row.updated,
                identifier=[number_of(each) for each in row.identifiers.all()],
                active=row.merged_into_id is None,
                name=[{"use": "official", "family": identity.family_name, "given": [identity.given_name]}],
                telecom=telecom_of(identity),
                gender=Sex(row.sex).value,
                birthDate=identity.birth_date.isoformat(),
                address=[{"text": identity.address}] if identity.address else None,
                link=links_of(row),
            )
        ]


def number_of(number: PatientIdentifier) -> Dict:
    """A system is an address without spaces; one that somebody typed in as words is told as who gives the number."""
    system, words = (number.system, "") if not any(map(str.isspace, number.system)) else ("", number.system)
    who = {"display": words} if words else None
    return filled(type=NUMBER_TYPES.get(number.type), system=system, value=number.value, assigner=who)


def telecom_of(identity: Any) -> list[Dict]:
    ways = {"phone": identity.phone, "email": identity.email}
    return [{"system": system, "value": value} for system, value in ways.items() if value]


def links_of(row: Any) -> list[Dict]:
    links = [{"other": reference("Patient", each.pk), "type": "replaces"} for each in row.merged_from.all()]
    if row.merged_into_id:
        links.append({"other": reference("Patient", row.merged_into_id), "type": "replaced-by"})
    return links
