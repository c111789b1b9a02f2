"""What a signed visit says on paper: plain data, which the page and the PDF lay out."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import segno
import typst
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _
from PIL import Image

from ml.overlay import draw_overlay
from patients.models import PatientIdentifier, Visit
from screening.codes import Diagnosis, Recommendation
from screening.models import FollowUp, LesionImage, Review, Screening
from screening.presentation import DISCLAIMER, ShownReading, present, shown_score
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.services import letter_advice_at
from skinclinic.text import decimal, in_sentence

TEMPLATES = Path(settings.BASE_DIR) / "templates" / "screening"
SIDE = 900  # pixels of the long side of a photograph in a PDF
DAY, MINUTE = "DATE_FORMAT", "DATETIME_FORMAT"

# What a patient is told of a recommendation.
NEXT_STEP = {
    Recommendation.REASSURE: _("Nothing needs to be done about this spot now."),
    Recommendation.FOLLOW_UP: _("We would like to look at this spot again."),
    Recommendation.BIOPSY: _("A small piece of this spot should be taken and examined in the laboratory."),
    Recommendation.EXCISE: _("This spot should be removed and examined in the laboratory."),
    Recommendation.REFER: _("A specialist should look at this spot."),
    Recommendation.RETAKE: _("The photograph did not show enough. We would like to take another one."),
}


@dataclass
class ReportedLesion:
    """One signed photograph. `reading` is empty where there is none; `score` stands with its band."""

    label: str
    heading: str
    taken_at: str
    image_id: str
    screening_id: str
    diagnosis: str
    suspicious: bool
    recommendation_due: str
    words: str
    reviewer: str
    signed_by: str
    differs: str
    switched: str
    finding: str
    next_step: str
    by_when: str
    reading: str
    sentences: list[str]
    cautions: list[str]
    diagnoses: list[tuple[str, str]]
    provenance: list[tuple[str, str]]
    has_map: bool
    overview_id: str
    photograph: list[int] = field(default_factory=list)
    overlay: list[int] = field(default_factory=list)
    overview: list[int] = field(default_factory=list)


@dataclass
class Report:
    clinic: str
    letterhead: list[str]
    patient: str
    born: str
    sex: str
    numbers: list[str]
    visited: str
    visited_on: str
    clinician: str
    question: str
    lesions: list[ReportedLesion]
    unsigned: int
    printed: str
    printed_on: str
    printed_by: str
    address: str
    advice: list[str]
    disclaimer: str


def moment(at: datetime, shape: str = MINUTE) -> str:
    return date_format(timezone.localtime(at), shape)


def report_of(
    *,
    visit: Visit,
    screenings: Sequence[Screening],
    overviews: Mapping[UUID, LesionImage],
    clinic: Clinic,
    printed_by: str,
    numbers: Sequence[PatientIdentifier],
    is_letter: bool = False,
) -> Report:
    """screenings: of the visit, in use, with everything that a result page shows; none hidden from the reader.

    overviews: by the lesion's key; they stand beside the first photograph of it. A letter speaks of each spot once.
    """
    overviews = dict(overviews)
    signed = [screening for screening in screenings if screening.is_signed]
    follow_ups = {
        each.review_id: each for each in FollowUp.objects.filter(review__in=[s.signed_review for s in signed])
    }
    identity = visit.patient.identity
    return Report(
        clinic=clinic.name,
        letterhead=clinic.letterhead,
        patient=identity.name,
        born=date_format(identity.birth_date, DAY),
        sex=in_sentence(visit.patient.get_sex_display()),
        numbers=[number.value for number in numbers],
        visited=visit.dated,
        visited_on=date_format(visit.day, DAY),
        clinician=visit.clinician.full_name if visit.clinician else gettext("another system"),
        question=visit.question,
        lesions=[
            reported(
                screening,
                clinic,
                follow_ups,
                overviews.pop(screening.image.lesion_id, None),
                [each for each in screenings if is_of_same_lesion(each, screening)],
            )
            for screening in (decisive(signed) if is_letter else signed)
        ],
        unsigned=len(screenings) - len(signed),
        printed=moment(timezone.now()),
        printed_on=moment(timezone.now(), DAY),
        printed_by=printed_by,
        address=settings.SITE_URL + reverse("visit", args=[visit.pk]),
        advice=letter_advice_at(clinic, signed_at(signed), get_language() or settings.LANGUAGE_CODE).splitlines(),
        disclaimer=str(DISCLAIMER),
    )


def taken_in_words(image: LesionImage) -> str:
    if image.captured_at:
        return gettext("Taken %(moment)s") % {"moment": moment(image.captured_at)}
    return gettext("Uploaded %(moment)s") % {"moment": moment(image.created_at)}


def decisive(signed: Sequence[Screening]) -> list[Screening]:
    """Of each lesion the photograph whose review says most: a suspicion, else one that could be judged, else any."""
    found: dict[UUID, Screening] = {}
    for screening in signed:
        before = found.get(screening.image.lesion_id)
        if before is None or weight_of(screening) > weight_of(before):
            found[screening.image.lesion_id] = screening
    return list(found.values())


def weight_of(screening: Screening) -> tuple[bool, bool, float]:
    """Of two that say the same else, the one that asks for the sooner look says more."""
    review = screening.signed_review
    if review is None:
        return False, False, 0
    return review.suspicious, review.recommendation != Recommendation.RETAKE, 1 / (review.follow_up_months or math.inf)


def signed_at(signed: Sequence[Screening]) -> datetime:
    return max((each.signature.created_at for each in signed if each.signature), default=timezone.now())


def is_of_same_lesion(other: Screening, screening: Screening) -> bool:
    return other.pk != screening.pk and other.image.lesion_id == screening.image.lesion_id


def reported(
    screening: Screening,
    clinic: Clinic,
    follow_ups: dict[Any, FollowUp],
    overview: LesionImage | None,
    others: Sequence[Screening],
) -> ReportedLesion:
    """others: the visit's other photographs of the lesion, signed or not."""
    review = screening.signed_review
    if review is None:
        raise ValueError(f"{screening.pk} is not signed.")
    reading = present(screening, clinic)
    follow_up = follow_ups.get(review.pk)
    due = date_format(follow_up.due_on, DAY) if follow_up else ""
    image = screening.image
    return ReportedLesion(
        label=image.lesion.label,
        heading=gettext("Lesion %(label)s") % {"label": image.lesion.label},
        taken_at=taken_in_words(image),
        image_id=str(image.pk),
        screening_id=str(screening.pk),
        diagnosis=review.get_diagnosis_display(),
        suspicious=review.suspicious,
        recommendation_due=recommended_by(review, due),
        words=review.words,
        reviewer=review.reviewer.full_name,
        signed_by=signed_by(review, moment(screening.signature.created_at)),
        differs=difference_of(review),
        switched=gettext("The opinion changed after the reading was shown.") if review.switched else "",
        finding=finding_in_plain_words(review, others),
        next_step=next_step_of(review, others),
        by_when=gettext("This should happen by %(day)s.") % {"day": due} if due else "",
        reading=gettext("Reading by the model: %(reading)s") % {"reading": headline(reading)},
        sentences=[*reading.sentences, *reading.counts],
        cautions=reading.cautions,
        diagnoses=[(bar.name, decimal(bar.percent, ".1f")) for bar in (*reading.malignant, *reading.benign)],
        provenance=reading.provenance,
        has_map=reading.has_map,
        overview_id=str(overview.pk) if overview else "",
    )


def headline(reading: ShownReading) -> str:
    score = f": {shown_score(reading.score)}" if reading.score is not None else ""
    return f"{reading.headline}{score}"


def finding_in_plain_words(review: Review, others: Sequence[Screening]) -> str:
    """For the patient. What is only suspected from a photograph is not named: the laboratory or a specialist does.

    A photograph that shows too little, or that no doctor has judged, reassures nobody.
    """
    if review.suspicious:
        return gettext("The doctor finds this spot conspicuous. What it is can be said once it has been examined.")
    if review.recommendation == Recommendation.RETAKE:
        return gettext("The doctor cannot judge this spot by this photograph.")
    named = {"diagnosis": in_sentence(review.get_diagnosis_display())}
    if not (doubts := doubts_about(others)):
        if review.diagnosis == Diagnosis.OTHER:
            return gettext("The doctor finds nothing suspicious.")
        return gettext("The doctor finds nothing suspicious: %(diagnosis)s.") % named
    if review.diagnosis == Diagnosis.OTHER:
        found = gettext("On one photograph of this spot the doctor finds nothing suspicious.")
    else:
        found = gettext("On one photograph of this spot the doctor finds nothing suspicious: %(diagnosis)s.") % named
    return " ".join([found, *doubts])


def next_step_of(review: Review, others: Sequence[Screening]) -> str:
    if review.recommendation == Recommendation.REASSURE and doubts_about(others):
        return gettext("What happens next depends on the other photograph.")
    return str(NEXT_STEP[Recommendation(review.recommendation)])


def doubts_about(others: Sequence[Screening]) -> list[str]:
    reviews = [each.signed_review for each in others]
    doubts = []
    if any(review and review.recommendation == Recommendation.RETAKE for review in reviews):
        doubts.append(gettext("Another one did not show enough to be judged."))
    if None in reviews:
        doubts.append(gettext("Another one has not been judged by a doctor yet."))
    return doubts


def recommended_by(review: Review, due: str) -> str:
    """Such as “Excise, by 6 Dec 2026.”"""
    said = {"recommendation": review.recommended, "day": due}
    return (gettext("%(recommendation)s, by %(day)s.") if due else gettext("%(recommendation)s.")) % said


def signed_by(review: Review, signed: str) -> str:
    said = {"name": review.reviewer.full_name, "moment": signed}
    if review.supersedes_id:
        return gettext("Amended and signed by %(name)s, %(moment)s") % said
    return gettext("Signed by %(name)s, %(moment)s") % said


def difference_of(review: Review) -> str:
    if not review.difference_reason:
        return ""
    reason = in_sentence(review.get_difference_reason_display())
    return gettext("Differs from the reading: %(reason)s.") % {"reason": reason}


def report_words(report: Report) -> dict[str, str]:
    """What the layouts say around the facts, which page and PDF share."""
    unsigned = ngettext(
        "%(count)s photograph of this visit is not signed yet and not in this report.",
        "%(count)s photographs of this visit are not signed yet and not in this report.",
        report.unsigned,
    )
    unjudged = ngettext(
        "%(count)s photograph of that day has not been judged by a doctor yet. This letter says nothing about it.",
        "%(count)s photographs of that day have not been judged by a doctor yet. This letter says nothing about them.",
        report.unsigned,
    )
    printed = gettext(
        "Printed %(moment)s by %(name)s from the record at %(address)s. What was amended afterwards stands there."
    )
    opening = ngettext(
        "On %(day)s, a spot on your skin was photographed. A doctor has looked at the photograph.",
        "On %(day)s, spots on your skin were photographed. A doctor has looked at the photographs.",
        len(report.lesions),
    )
    return {
        "language": (get_language() or "en").partition("-")[0],
        "report_of": gettext("Report of %(moment)s") % {"moment": report.visited},
        "report": gettext("Skin lesion report"),
        "letter_of": gettext("Letter of %(moment)s") % {"moment": report.printed},
        "letter": gettext("What we found on your skin"),
        "address": gettext("Address of the record"),
        "patient": gettext("Patient"),
        "born": gettext("Born"),
        "born_on": gettext("born %(day)s") % {"day": report.born},
        "record": gettext("Record"),
        "no_number": gettext("no number"),
        "visit": gettext("Visit"),
        "clinician": gettext("Clinician"),
        "question": gettext("Question"),
        "none": gettext("none"),
        "suspicious": gettext("suspicious"),
        "not_suspicious": gettext("not suspicious"),
        "map": gettext(
            "Where the score came from, in 7×7 cells; none of it where nothing is coloured. Not the border, not a "
            "reason"
        ),
        "overview": gettext("Overview"),
        "unjudged": unjudged % {"count": report.unsigned} if report.unsigned else "",
        "unsigned": unsigned % {"count": report.unsigned} if report.unsigned else "",
        "printed": printed % {"moment": report.printed, "name": report.printed_by, "address": report.address},
        "opening": opening % {"day": report.visited_on},
        "page": gettext("{page} of {pages}"),
    }


def draw_pictures(report: Report, screenings: Sequence[Screening], overviews: Mapping[UUID, LesionImage]) -> None:
    """Put each photograph into the report, under its map where there is one, and the overview beside it."""
    shown = {str(screening.pk): screening for screening in screenings}
    stored = {str(image.pk): image for image in overviews.values()}
    for lesion in report.lesions:
        screening = shown[lesion.screening_id]
        photograph = drawn_small(screening.image)
        lesion.photograph = list(jpeg(photograph))
        if lesion.has_map and screening.prediction is not None:
            cells = np.frombuffer(bytes(screening.prediction.activation_map), "<f4").reshape(7, 7, 7)
            lesion.overlay = list(jpeg(draw_overlay(photograph, cells, None)))
        if lesion.overview_id:
            lesion.overview = list(jpeg(drawn_small(stored[lesion.overview_id])))


def drawn_small(image: LesionImage) -> Image.Image:
    with Image.open(image.photograph) as stored:
        photograph = stored.convert("RGB")
    photograph.thumbnail((SIDE, SIDE))
    return photograph


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def qr_svg(address: str) -> str:
    """A QR code without a quiet zone: the page has margins of its own."""
    buffer = io.BytesIO()
    segno.make(address, error="m", micro=False).save(buffer, kind="svg", border=0, xmldecl=False, svgclass=None)
    return buffer.getvalue().decode()


def qr_data_uri(address: str) -> str:
    return str(segno.make(address, error="m", micro=False).svg_data_uri(border=0))


def as_pdf(report: Report, template: str) -> bytes:
    """template: `report.typ` or `letter.typ`. What people typed is data to it, never markup."""
    data = json.dumps(asdict(report) | {"qr": qr_svg(report.address), "say": report_words(report)})
    return bytes(typst.compile((TEMPLATES / template).read_bytes(), format="pdf", sys_inputs={"data": data}))
