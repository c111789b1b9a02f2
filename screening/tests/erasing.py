"""A patient of whom everything is written that can be, and the search for any of it."""

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from uuid import uuid4

from psycopg2 import sql

from conftest import Cast, Chart, make_screening, owner_connection
from patients.codes import IdentifierType
from patients.models import Erasure, Patient, PatientIdentity
from patients.restricted import open_chart
from patients.services import add_identifier, add_lesion, merge_patients, note_consent, open_visit, register_patient
from screening.dicom.models import DicomInstance
from screening.images import clean_photograph
from screening.models import ImportRow, LesionImage, LesionLabel, Screening
from screening.services.drafts import keep_draft
from screening.services.erasing import agree_to_erasure, ask_erasure, erase_files
from screening.services.holds import agree_to_lift, ask_to_lift, put_hold
from screening.services.incidents import close_incident, note_incident, open_incident
from screening.services.outcomes import Finding, enter_outcome
from screening.services.photographs import add_overview, move_screening, withdraw_screening
from screening.services.problems import answer_problem, report_problem
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, give, sign
from screening.tests.importing import ERNA, begin, send_all
from skinclinic.api.fhir.documents import document_of, state_of
from skinclinic.api.fhir.models import PhotographNumber
from skinclinic.api.models import StoredAnswer

HERS = {
    "family_name": "Quillfeather", "given_name": "Oktavia", "birth_date": "1957-08-23", "phone": "+43 1 98761234",
    "email": "oktavia@quillfeather.example", "address": "Kastanienallee 7",
}  # fmt: skip
LETTERS = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "iota", "kappa", "lambda", "mu", "nu", "xi", "omicron",
    "pi", "rho", "sigma",
)  # fmt: skip
NUMBER, INSURED, ELSEWHERE = "ZQ-90817", "INS-5527-XK", "PACS-77413"
SUSPICIOUS = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise",
                     difference_reason="clinical", words="wordszeta of the opinion")  # fmt: skip
OTHER = Opinion(suspicious=False, diagnosis="other", recommendation="reassure", words="wordseta of the other")


@dataclass
class Written:
    """patient: the record that remains. texts: what must not be found; photographs: SHA-256 of their stored bytes."""

    patient: Patient
    chart: Chart
    duplicate: Patient
    others: Chart
    texts: list[str] = field(default_factory=list)
    photographs: set[str] = field(default_factory=set)


def everything_of(cast: Cast, draw) -> Written:
    """draw: a new photograph at each call."""
    with cast.alice.acting() as alice:
        patient = register_patient(actor=alice, identity=HERS | {"family_name": "Oldquill"}, sex="female", skin_type=2)
        PatientIdentity.objects.filter(pk=patient.pk).update(family_name=HERS["family_name"])
        add_identifier(patient=patient, system="urn:skinclinic:record-number", value=NUMBER)
        add_identifier(patient=patient, system="urn:insurer", value=INSURED, number_type=IdentifierType.INSURANCE)
        note_consent(actor=alice, patient=patient, kind="ai_reading", decision="given", decided_on="2026-11-22")
        visit = open_visit(actor=alice, patient=patient, question="wordsalpha asked", history=["changing"])
        lesion = add_lesion(patient=patient, site="back", laterality="left", view="back", x=0.4, y=0.3)
        LesionLabel.objects.create(clinic=cast.north, patient=patient, lesion=lesion, label="wordsbeta label")
        duplicate = register_patient(actor=alice, identity=HERS | {"given_name": "Oktavija"}, sex="female")
        merge_patients(duplicate=duplicate, into=patient)
        other = register_patient(actor=alice, identity=HERS | {"family_name": "Stranger", "given_name": "Ines",
            "birth_date": "1980-02-02", "phone": "", "email": "", "address": ""}, sex="female")  # fmt: skip
        note_consent(actor=alice, patient=other, kind="ai_reading", decision="given", decided_on="2026-11-22")
        wrong = Chart(
            other,
            open_visit(actor=alice, patient=other, question="wordstranger stays"),
            add_lesion(patient=other, site="face", laterality="left", view="front", x=0.5, y=0.1),
        )
    chart = Chart(patient, visit, lesion)
    first, second = (make_screening(cast.alice, chart, draw()) for _ in range(2))
    for screening in (first, second):
        finish(cast, screening, refer=True, band="high")
    with cast.alice.acting() as alice:
        PhotographNumber.objects.create(clinic=cast.north, patient=patient, image=first.image, value=ELSEWHERE)
        DicomInstance.objects.create(
            clinic=cast.north, patient=patient, image=first.image, sop_class="1.2", instance_uid="1.2.840.99887766",
            series_uid="1.2.840.99887767", study_uid="1.2.840.99887768", serial_number="SERIAL-5519",
        )  # fmt: skip
        add_overview(
            actor=alice, visit=visit, lesion=lesion, clean=clean_photograph(BytesIO(draw())),
            original_name="wordsgamma.jpg",
        )  # fmt: skip
    misplaced = make_screening(cast.alice, wrong, draw())
    finish(cast, misplaced, refer=False, band="low")
    give(cast, misplaced, OTHER)
    with cast.alice.acting() as alice:
        moved = move_screening(
            actor=alice, screening=misplaced, visit=visit, lesion=lesion, reason="other", words="wordsdelta is hers"
        )
    finish(cast, moved, refer=False, band="low")
    with cast.rita.acting() as rita:
        shown = Screening.objects.shown_to(rita).get(pk=first.pk)
        problem = report_problem(
            actor=rita, screening=shown, submission=uuid4(), kind="other", words="wordsepsilon problem"
        )
        incident = open_incident(
            actor=rita, submission=uuid4(), kind="other", words="wordsiota incident", screening=shown
        )
        note_incident(actor=rita, incident=incident, words="wordskappa note")
        open_chart(actor=rita, patient=patient, reason="wordslambda opened")
        keep_draft(actor=rita, screening=shown, typed={"words": "wordsmu draft", "diagnosis": "nevus"})
    with cast.ada.acting() as ada:
        answer_problem(actor=ada, problem=problem, answer="wordsnu answer")
        close_incident(actor=ada, incident=incident, finding="wordsxi finding")
        hold = put_hold(actor=ada, patient=patient, words="wordsomicron hold")
        ask_to_lift(actor=ada, hold=hold)
    with cast.rita.acting() as rita:
        agree_to_lift(actor=rita, hold=hold)
    for screening, opinion in ((first, SUSPICIOUS), (second, SUSPICIOUS), (moved, SUSPICIOUS)):
        give(cast, screening, opinion)
    sign(cast, visit)
    with cast.alice.acting() as alice:
        enter_outcome(
            actor=alice, lesion=lesion, submission=uuid4(),
            finding=Finding(diagnosis="other", reported_on=date(2026, 11, 23), words="wordspi pathology"),
        )  # fmt: skip
        withdraw_screening(actor=alice, screening=second, reason="other", words="wordsrho withdrawn")
        visit.refresh_from_db()
        signed = [each for each in Screening.objects.in_use().filter(visit=visit) if each.is_signed]
        document_of(actor=alice, visit=visit, state=state_of(signed))
        StoredAnswer.objects.create(
            clinic=cast.north, client="a system", key=uuid4(), fingerprint="0", status=201,
            body={"id": str(visit.pk), "patient": str(patient.pk), "question": "wordsalpha asked"},
        )  # fmt: skip
    with cast.in_north():
        batch = begin(cast, ERNA | {name: HERS[name] for name in ("family_name", "given_name", "birth_date")}
                      | {"record_number": NUMBER, "question": "wordssigma import"})  # fmt: skip
    send_all(cast, batch, draw)
    with cast.in_north():
        pixels = LesionImage.objects.filter(patient__in=[patient, other]).values_list("sha256", flat=True)
        photographs = {*pixels, *ImportRow.objects.filter(batch=batch).values_list("sha256", flat=True)}
    texts = [*HERS.values(), "Oldquill", "Oktavija", NUMBER, INSURED, ELSEWHERE, "99887766", "99887768", "SERIAL-5519"]
    return Written(patient, chart, duplicate, wrong, texts + [f"words{each}" for each in LETTERS], photographs)


def asked(cast: Cast, patient: Patient, **given: object) -> Erasure:
    with cast.ada.acting() as ada:
        return ask_erasure(actor=ada, patient=patient, **{"reason": "request", "despite_follow_ups": True} | given)


def erase(cast: Cast, patient: Patient, **given: object) -> Erasure:
    """By two people, and then what the workers do."""
    erasure = asked(cast, patient, **given)
    with cast.rita.acting() as rita:
        agree_to_erasure(actor=rita, erasure=erasure)
    while erase_files(erasure_id=erasure.pk, clinic_id=erasure.clinic_id):
        pass
    return erasure


def rows_with(database: str, texts: list[str]) -> list[tuple[str, str]]:
    """In which table each of these stands, as the owner sees it."""
    found = []
    with closing(owner_connection(database)) as owner, owner.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        for (table,) in cursor.fetchall():
            query = sql.SQL("SELECT each::text FROM {} each").format(sql.Identifier(table))
            cursor.execute(query)
            whole = "\n".join(row for (row,) in cursor.fetchall())
            found += [(table, text) for text in texts if text in whole]
    return found


def stored_hashes(database: str) -> set[str]:
    with closing(owner_connection(database)) as owner, owner.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(data, ''::bytea ORDER BY position) FROM screening_storedchunk GROUP BY file_id"
        )
        return {hashlib.sha256(bytes(data)).hexdigest() for (data,) in cursor.fetchall()}
