"""A signed visit on paper: a report for colleagues, and a letter for the patient."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from patients.models import PatientIdentifier
from screening.models import LesionImage, Overview, Screening
from screening.report import DAY, Report, as_pdf, draw_pictures, qr_data_uri, report_of, report_words
from screening.views.visit import visits
from skinclinic.accounts.language import is_spoken
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import Actor
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


class NothingToReport(ClinicError):
    """Nothing in the visit is signed, or its reading is kept from who asks."""


@require_GET
@member_required()
def visit_report(request: HttpRequest, visit_id: UUID, form: str) -> HttpResponse:
    """form: `report` or `letter`, as a page."""
    try:
        report, _, _ = make_report(request, visit_id, form)
    except NothingToReport as refusal:
        messages.info(request, str(refusal))
        return redirect("visit", visit_id)
    with translation.override(language_of(request, form)):
        words, day = report_words(report), date_format(timezone.localdate(), DAY)
    context = {"report": report, "visit_id": visit_id, "words": words, "day": day, "qr": qr_data_uri(report.address)}
    return render(request, f"screening/{form}.html", context)


@require_GET
@member_required()
def visit_pdf(request: HttpRequest, visit_id: UUID, form: str) -> HttpResponse:
    """form: `report` or `letter`, as a PDF."""
    try:
        return report_as_pdf(request, visit_id, form)
    except NothingToReport as refusal:
        messages.info(request, str(refusal))
        return redirect("visit", visit_id)


def report_as_pdf(request: HttpRequest, visit_id: UUID, form: str = "report") -> HttpResponse:
    """Raises NothingToReport, and Http404 where the visit is not the actor's to see."""
    report, screenings, overviews = make_report(request, visit_id, form)
    if form == "report":
        draw_pictures(report, screenings, overviews)
    with translation.override(language_of(request, form)):
        pdf = as_pdf(report, f"{form}.typ")
    response = HttpResponse(pdf, content_type="application/pdf")
    # No name in it: what is saved is found by its visit, and tells nobody who looks over a shoulder.
    response["Content-Disposition"] = f'inline; filename="{form}-{visit_id}.pdf"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def language_of(request: HttpRequest, form: str) -> str:
    """A letter is in the patient's language, which who prints it knows; a report in that of who reads it here."""
    asked = request.GET.get("language", "") if form == "letter" else ""
    return asked if is_spoken(asked) else translation.get_language()


def make_report(
    request: HttpRequest, visit_id: UUID, form: str
) -> tuple[Report, list[Screening], dict[UUID, LesionImage]]:
    with translation.override(language_of(request, form)):
        return gather_report(actor=request.actor, clinic=request.clinic, visit_id=visit_id, form=form)


def signed_pdf(*, actor: Actor, clinic: Clinic, visit_id: UUID) -> tuple[UUID, bytes]:
    """The patient and the report as a PDF, in the language that is spoken now. Raises as `report_as_pdf` does."""
    report, screenings, overviews = gather_report(actor=actor, clinic=clinic, visit_id=visit_id, form="report")
    draw_pictures(report, screenings, overviews)
    return screenings[0].patient_id, as_pdf(report, "report.typ")


def gather_report(
    *, actor: Actor, clinic: Clinic, visit_id: UUID, form: str
) -> tuple[Report, list[Screening], dict[UUID, LesionImage]]:
    """In the language that is spoken now."""
    visit = get_visible(visits(), actor, visit_id)
    screenings = list(
        Screening.objects.visible_to(actor)
        .in_use()
        .filter(visit=visit)
        .with_everything()
        .select_related("signature")
        .shown_to(actor)
        .in_reading_order()
    )
    refuse_unreportable(screenings)
    record(
        f"{form}_seen",
        subject_type="patients_visit",
        subject_id=visit.pk,
        patient_id=visit.patient_id,
        detail={"screenings": [str(screening.pk) for screening in screenings if screening.is_signed]},
    )
    taken = Overview.objects.visible_to(actor).in_use().filter(visit=visit).select_related("image")
    overviews = {overview.image.lesion_id: overview.image for overview in taken}
    report = report_of(
        visit=visit,
        screenings=screenings,
        overviews=overviews,
        clinic=clinic,
        printed_by=actor.name,
        numbers=list(PatientIdentifier.objects.filter(patient=visit.patient_id).order_by("created_at")),
        is_letter=form == "letter",
    )
    return report, screenings, overviews


def refuse_unreportable(screenings: list[Screening]) -> None:
    if not any(screening.is_signed for screening in screenings):
        raise NothingToReport(gettext("Nothing in this visit is signed yet. A report says what a doctor has signed."))
    if any(screening.is_hidden and screening.is_signed for screening in screenings):
        raise NothingToReport(
            gettext("A reading in it is kept from you until your opinion on the lesion. Give that first.")
        )
