"""A second reader where the clinic asks for one, and a third where two differ (docs/decisions/011)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.utils import timezone

from screening.codes import Band
from screening.models import Review, Screening
from screening.services.errors import StaleTransition
from screening.status import ReadingStatus, ReviewStatus, review_sources
from skinclinic.accounts.models import Clinic
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish

# The last opinion of each reviewer, by screening and reviewer.
Readers = Mapping[UUID, Mapping[UUID, Review]]


def readers_of(screenings: Sequence[Screening]) -> Readers:
    """Who has finished reading what: her last opinion, if it was given beside the reading that is there now."""
    found: dict[UUID, dict[UUID, Review]] = {screening.pk: {} for screening in screenings}
    reviews = Review.objects.filter(screening__in=screenings).order_by("created_at", "id")
    for review in reviews.select_related("reading_shown", "reviewer"):
        found[review.screening_id][review.reviewer_id] = review
    return {
        screening.pk: {
            reader: review
            for reader, review in found[screening.pk].items()
            if review.reading_shown_id == finished_reading_id(screening)
        }
        for screening in screenings
    }


def finished_reading_id(screening: Screening) -> UUID | None:
    return screening.prediction_id if screening.reading_status == ReadingStatus.PREDICTED else None


def wants_second_reader(clinic: Clinic, screening: Screening, opinions: Iterable[Review]) -> bool:
    """What the clinic asks for, as it stands now; `opinions`: of those who have read the screening."""
    if drawn_percent(screening.pk) < clinic.second_reading_percent:
        return True
    return any(
        (clinic.second_reading_of_high and review.reading_shown is not None and review.reading_shown.band == Band.HIGH)
        or (clinic.second_reading_of_differing and review.differs)
        for review in opinions
    )


def drawn_percent(key: UUID) -> int:
    """0 to 99, evenly, and always the same for the same photograph."""
    return int.from_bytes(hashlib.sha256(key.bytes).digest()[:8], "big") % 100


def is_second_reading_due(clinic: Clinic, screenings: Sequence[Screening], readers: Readers) -> bool:
    """A visit is read again as a whole as soon as one photograph of it asks for that."""
    return any(wants_second_reader(clinic, each, readers[each.pk].values()) for each in screenings)


def lacks_second_reader(screenings: Sequence[Screening], readers: Readers, reader: UUID | None) -> bool:
    """Somebody besides `reader` has not finished each of the screenings."""
    return any(not (readers[screening.pk].keys() - {reader}) for screening in screenings)


def conflicting(screenings: Sequence[Screening], readers: Readers, reader: UUID) -> list[Screening]:
    """Those on which another reader's last opinion conflicts with that of `reader`."""
    return [
        screening
        for screening in screenings
        if any(readers[screening.pk][reader].conflicts_with(review) for review in readers[screening.pk].values())
    ]


def dispute(screenings: Sequence[Screening]) -> None:
    """Put them before a third reviewer."""
    sources = review_sources(ReviewStatus.DISPUTED)
    keys = [screening.pk for screening in screenings]
    moved = Screening.objects.filter(pk__in=keys, review_status__in=sources).update(
        review_status=ReviewStatus.DISPUTED, disputed_at=timezone.now()
    )
    if moved != len(keys):
        raise StaleTransition
    for screening in screenings:
        publish(EventType.SCREENING_DISPUTED, clinic_id=screening.clinic_id, screening=screening.pk)
