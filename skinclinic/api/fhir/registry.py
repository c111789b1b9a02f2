"""Every resource there is."""

from skinclinic.api.fhir.audit_event import AuditEventResource
from skinclinic.api.fhir.body_structure import BodyStructureResource
from skinclinic.api.fhir.device import DeviceResource
from skinclinic.api.fhir.diagnostic_report import DiagnosticReportResource, DocumentReferenceResource
from skinclinic.api.fhir.media import MediaResource
from skinclinic.api.fhir.observation import ObservationResource
from skinclinic.api.fhir.patient import PatientResource
from skinclinic.api.fhir.provenance import ProvenanceResource
from skinclinic.api.fhir.resource import Resource

RESOURCES: dict[str, Resource] = {
    each.name: each
    for each in (
        PatientResource(),
        BodyStructureResource(),
        MediaResource(),
        ObservationResource(),
        DiagnosticReportResource(),
        DocumentReferenceResource(),
        DeviceResource(),
        ProvenanceResource(),
        AuditEventResource(),
    )
}
# What belongs to a patient, in the order in which all of it is told. Her ledger is not among it.
OF_PATIENT = [
    RESOURCES[name]
    for name in ("Patient", "BodyStructure", "Media", "Observation", "DiagnosticReport", "DocumentReference")
]
