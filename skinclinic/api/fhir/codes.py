"""The codes that go out: our own code systems, and those of others where a source at hand says that they fit.

The model's classes have codes of ours alone: `akiec` or `bkl` is a mixture of what others have single codes for. What
a doctor calls a lesion has its ICD-10 code beside ours. SNOMED CT as pydicom's dictionary has it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from ml.labels import DIAGNOSES, DIAGNOSIS_NAMES
from patients import snomed
from patients.codes import BodySite
from screening.codes import Band, Diagnosis, Finding, PhotographKind, Recommendation
from skinclinic.api.fhir.elements import Dict, coding, concept

VERSION = "1"
SNOMED, ICD10 = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
IMAGING = concept(coding(OBSERVATION_CATEGORY, "imaging", "Imaging"))
IMAGING_REPORT = concept(coding("http://terminology.hl7.org/CodeSystem/v2-0074", "IMG", "Diagnostic Imaging"))
PHOTOGRAPHY = coding(SNOMED, "446078004", "Dermoscopic photography (procedure)")
SKIN_LESION = coding(SNOMED, "95324001", "Skin lesion")
LATERALITY = {side: coding(SNOMED, *code) for side, code in snomed.LATERALITY.items()}
ICD: Mapping[str, tuple[str, str]] = {
    Diagnosis.MELANOMA: ("C43", "Malignant melanoma of skin"),
    Diagnosis.MELANOMA_IN_SITU: ("D03", "Melanoma in situ"),
    Diagnosis.BASAL_CELL_CARCINOMA: ("C44", "Other malignant neoplasms of skin"),
    Diagnosis.SQUAMOUS_CELL_CARCINOMA: ("C44", "Other malignant neoplasms of skin"),
    Diagnosis.MERKEL: ("C44", "Other malignant neoplasms of skin"),
    Diagnosis.BOWEN: ("D04", "Carcinoma in situ of skin"),
    Diagnosis.ACTINIC_KERATOSIS: ("L57.0", "Actinic keratosis"),
    Diagnosis.SEBORRHEIC_KERATOSIS: ("L82", "Seborrhoeic keratosis"),
    Diagnosis.NEVUS: ("D22", "Melanocytic naevi"),
    Diagnosis.ATYPICAL_NEVUS: ("D22", "Melanocytic naevi"),
    Diagnosis.DERMATOFIBROMA: ("D23", "Other benign neoplasms of skin"),
    Diagnosis.VASCULAR: ("D18.0", "Haemangioma, any site"),
}


@dataclass(frozen=True)
class CodeSystem:
    """`concepts`: code and what people read."""

    key: str
    title: str
    description: str
    concepts: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"urn:skinclinic:codes:{self.key}"

    def coding(self, code: str) -> Dict:
        return coding(self.url, code, str(self.concepts[code]), VERSION)

    def concept(self, code: str, *others: Dict, text: str = "") -> Dict:
        return concept(self.coding(code), *others, text=text)

    def as_resource(self) -> Dict:
        return {
            "resourceType": "CodeSystem",
            "id": self.key,
            "url": self.url,
            "version": VERSION,
            "name": self.title.title().replace(" ", ""),
            "title": self.title,
            "status": "active",
            "description": self.description,
            "caseSensitive": True,
            "content": "complete",
            "concept": [{"code": code, "display": str(display)} for code, display in self.concepts.items()],
        }


READING, REVIEW = "malignancy-score", "lesion-review"
OBSERVED = CodeSystem(
    "observation",
    "What is observed",
    "What the model reads in a photograph of a skin lesion, and what a doctor says of it.",
    {
        READING: "Calibrated score for malignant or pre-malignant",
        REVIEW: "A doctor's signed review of a photograph",
        "suspicious": "Suspicious",
        "recommendation": "Recommendation",
        "follow-up-after": "To be seen again after",
        "skin-lesion-report": "Skin lesion report",
        "installation": "The clinic's installation",
    },
)
CLASSES = CodeSystem(
    "model-class",
    "Classes of the model",
    "The seven classes of HAM10000, on which the model was trained. Each is a mixture; none is a diagnosis.",
    {name: DIAGNOSIS_NAMES[name] for name in DIAGNOSES},
)
DIAGNOSED = CodeSystem(
    "diagnosis", "Diagnoses", "What a doctor may call a lesion.", {code.value: code.label for code in Diagnosis}
)
RECOMMENDED = CodeSystem(
    "recommendation", "Recommendations", "What a doctor advises.", {code.value: code.label for code in Recommendation}
)
BANDS = CodeSystem(
    "band", "Bands of the score", "How high a score is, by the model's thresholds.", {c.value: c.label for c in Band}
)
BODY_SITES = CodeSystem(
    "body-site", "Body sites", "Where on the skin a lesion is.", {code.value: code.label for code in BodySite}
)
KINDS = CodeSystem(
    "photograph",
    "Kinds of photographs",
    "What a photograph is for.",
    {code.value: code.label for code in PhotographKind},
)
FINDINGS = CodeSystem(
    "finding",
    "Findings",
    "What a clinician sees that the model was not tested on.",
    {c.value: c.label for c in Finding},
)


@cache
def code_systems() -> dict[str, CodeSystem]:
    systems = (OBSERVED, CLASSES, DIAGNOSED, RECOMMENDED, BANDS, BODY_SITES, KINDS, FINDINGS)
    return {system.key: system for system in systems}


def site(code: str, label: str) -> Dict:
    return BODY_SITES.concept(code, coding(SNOMED, *snomed.SITES.get(code, snomed.SKIN)), text=label)


def diagnosis(code: str, words: str = "") -> Dict:
    others = [coding(ICD10, *ICD[code])] if code in ICD else []
    return DIAGNOSED.concept(code, *others, text=words if code == Diagnosis.OTHER else "")


def absent(code: str, display: str, text: str) -> Dict:
    return concept(coding(ABSENT, code, display), text=text)


def found(codes: Iterable[str]) -> list[str]:
    return [f"{FINDINGS.concepts[code]}." for code in codes]
