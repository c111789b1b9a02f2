"""The PDF of a signed visit, made once for what is signed and kept."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID, uuid4

from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils import translation

from patients.models import Visit
from screening.models import Screening
from screening.views.report import signed_pdf
from skinclinic.accounts.models import Clinic
from skinclinic.api.fhir.models import SignedDocument
from skinclinic.audit.acting import Actor


def state_of(screenings: Iterable[Screening]) -> str:
    """Of which signed reviews a document tells. screenings: signed, and in use."""
    keys = sorted(str(screening.signed_review_id) for screening in screenings)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


def document_of(*, actor: Actor, visit: Visit, state: str) -> SignedDocument:
    """The one of this state, made now where nobody has asked for it before. A list fetches `documents` beforehand."""
    made = next((each for each in visit.documents.all() if each.of == state), None)
    return made or make_document(actor=actor, visit_id=visit.pk, state=state)


def printed_by(actor: Actor, own: Clinic) -> Actor:
    """What the clinic sends by itself bears its name, not that of a program of ours."""
    return replace(actor, name=own.name) if actor.is_process else actor


def make_document(*, actor: Actor, visit_id: UUID, state: str) -> SignedDocument:
    """In the language that programs are answered in, which does not change with who asks."""
    own = Clinic.objects.get(pk=actor.own_clinic())
    with translation.override("en"):
        patient_id, pdf = signed_pdf(actor=printed_by(actor, own), clinic=own, visit_id=visit_id)
    document = SignedDocument(
        id=uuid4(),
        clinic=own,
        patient_id=patient_id,
        visit_id=visit_id,
        of=state,
        size=len(pdf),
        sha1=base64.b64encode(hashlib.sha1(pdf, usedforsecurity=False).digest()).decode(),
        sha256=hashlib.sha256(pdf).hexdigest(),
    )
    try:
        with transaction.atomic():
            document.pdf.save("document.pdf", ContentFile(pdf), save=False)
            document.save(force_insert=True)
    except IntegrityError:
        return SignedDocument.objects.get(visit=visit_id, of=state)
    return document
