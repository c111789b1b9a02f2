"""What was not read: tried again together, and given to somebody to take again."""

import pytest
from django.urls import reverse

from conftest import Cast, make_chart, make_person, make_screening
from screening.models import Notice, Retake, Screening
from screening.services.errors import NotYours, StaleTransition
from screening.services.notices import sweep_notices
from screening.services.retakes import assign_retake
from screening.tests.conftest import finish, give, rows, sign, status_of, the_only
from skinclinic.audit.models import AuditEvent


def fail(cast: Cast, *screenings: Screening, code: str = "too_slow") -> None:
    with cast.in_north():
        Screening.objects.filter(pk__in=[each.pk for each in screenings]).update(
            reading_status="failed", failure_code=code
        )


def blur(cast: Cast, screening: Screening) -> None:
    finish(cast, screening, band=None, unscorable_reasons=("blurred",))


def keys(cast: Cast, **more: object) -> dict[str, object]:
    return {"clinic": str(cast.north.pk)} | more


def assign(cast: Cast, screening: Screening, person) -> None:
    with cast.ada.acting() as ada:
        assign_retake(actor=ada, screening=screening, assignee=person.user)


def test_failed_readings_are_listed_with_why_and_tried_again_together(cast, chart, screening, random_photograph):
    one, two, left = (make_screening(cast.alice, chart, random_photograph()) for _ in range(3))
    fail(cast, one, two, left)
    page = cast.ada.client.get(reverse("unread")).content.decode()
    assert "3 × The reading took too long" in page
    ticked = keys(cast, screening=[str(one.pk), str(two.pk)], reason="worker_mended")
    done = cast.ada.client.post(reverse("unread_retry"), ticked, follow=True).content.decode()
    assert "2 photographs wait to be read again." in done
    assert [status_of(each) for each in (one, two, left)] == ["queued", "queued", "failed"]
    assert "worker_mended" in {event.reason for event in rows(cast, AuditEvent, subject_id=str(one.pk))}


def test_what_cannot_be_tried_keeps_nothing_else_back(cast, chart, screening, random_photograph):
    refused = make_chart(cast.alice, consent="refused", given_name="No")
    other = make_screening(cast.alice, refused, random_photograph())
    fail(cast, screening, other)
    ticked = keys(cast, screening=[str(screening.pk), str(other.pk), "nonsense"], reason="another_try")
    done = cast.ada.client.post(reverse("unread_retry"), ticked, follow=True).content.decode()
    assert "1 photograph waits to be read again." in done
    assert "has not consented" in done
    assert (status_of(screening), status_of(other)) == ("queued", "failed")


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"screening": []}, {"reason": "nonsense"}])
def test_a_retry_wants_its_reason_and_something_to_try(cast, chart, screening, wrong):
    fail(cast, screening)
    posted = keys(cast, screening=[str(screening.pk)], reason="another_try") | wrong
    done = cast.ada.client.post(reverse("unread_retry"), posted, follow=True).content.decode()
    assert "Tick what is to be tried again, and say why." in done
    assert status_of(screening) == "failed"


def test_a_retake_is_given_to_a_clinician_who_is_told(cast, chart, screening):
    blur(cast, screening)
    anna = make_person("Anna Ahorn", cast.north, "clinician")
    sweep_notices()
    assert "Alice Alder" in cast.ada.client.get(reverse("unread")).content.decode()
    posted = keys(cast, assignee=str(anna.user.pk))
    done = cast.ada.client.post(reverse("retake_assign", args=[screening.pk]), posted, follow=True).content.decode()
    assert "Anna Ahorn is asked to take it again." in done
    sweep_notices()
    assert ("Anna", "retake") in {
        (notice.recipient.get_short_name(), notice.kind) for notice in rows(cast, Notice) if notice.screening_id
    }
    assert "Photographs to take again" in anna.client.get(reverse("today")).content.decode()
    assert "Photographs to take again" not in cast.alice.client.get(reverse("today")).content.decode()


def test_a_retake_can_be_given_to_another(cast, chart, screening):
    blur(cast, screening)
    anna = make_person("Anna Ahorn", cast.north, "clinician")
    assign(cast, screening, anna)
    assign(cast, screening, cast.alice)
    assert the_only(cast, Retake).assignee == cast.alice.user
    sweep_notices()
    cast.alice.client.post(reverse("notices_seen"), keys(cast))
    assign(cast, screening, anna)
    assign(cast, screening, cast.alice)
    sweep_notices()
    assert the_only(cast, Notice, kind="retake", recipient=cast.alice.user).seen_at is None
    assert "Photographs to take again" in cast.alice.client.get(reverse("today")).content.decode()


def test_it_is_done_when_the_lesion_has_a_newer_photograph(cast, chart, screening, random_photograph):
    blur(cast, screening)
    assign(cast, screening, cast.alice)
    make_screening(cast.alice, chart, random_photograph())
    assert "Photographs to take again" not in cast.alice.client.get(reverse("today")).content.decode()
    with pytest.raises(StaleTransition):
        assign(cast, screening, cast.alice)


def test_only_what_waits_can_be_given_and_only_to_who_photographs(cast, chart, screening):
    with pytest.raises(StaleTransition):
        assign(cast, screening, cast.alice)  # not read yet
    blur(cast, screening)
    with pytest.raises(NotYours):
        assign(cast, screening, cast.rita)
    with pytest.raises(NotYours):
        assign(cast, screening, cast.bob)
    refused = cast.ada.client.post(
        reverse("retake_assign", args=[screening.pk]), keys(cast, assignee=str(cast.bob.user.pk)), follow=True
    )
    assert "Choose who takes it again." in refused.content.decode()
    give(cast, screening)
    sign(cast, chart.visit)
    with pytest.raises(StaleTransition):
        assign(cast, screening, cast.alice)


def test_who_may(cast, chart, screening):
    blur(cast, screening)
    assert cast.otto.client.get(reverse("unread")).status_code == 200
    assert "Assign" not in cast.otto.client.get(reverse("unread")).content.decode()
    for person in (cast.alice, cast.rita):
        assert person.client.get(reverse("unread")).status_code == 403
        assert person.client.post(reverse("unread_retry"), keys(cast)).status_code == 403
    assert cast.bob.client.post(reverse("retake_assign", args=[screening.pk]),
                                {"clinic": str(cast.south.pk)}).status_code == 404  # fmt: skip


def test_the_page_takes_few_queries(cast, chart, screening, random_photograph, django_assert_max_num_queries):
    """Fifteen, and three of the test's own transaction."""
    charts = [make_chart(cast.alice, given_name=f"P{number}") for number in range(4)]
    shots = [make_screening(cast.alice, each, random_photograph()) for each in charts]
    for each in shots[:2]:
        blur(cast, each)
        assign(cast, each, cast.alice)
    fail(cast, *shots[2:])
    client = cast.ada.client
    client.get(reverse("unread"))
    with django_assert_max_num_queries(15 + 3):
        client.get(reverse("unread"))
