"""A lesion is marked on the body, and where its site does not belong to the mark somebody is asked."""

import re

import pytest
from django.urls import reverse

from patients.body_map import fits, is_on_body, sites_at
from patients.models import Lesion

FOOT = {"view": "front", "x": "0.59", "y": "0.885"}
FACE = {"site": "face", "laterality": "left"}


def send(cast, chart, **fields: str):
    address = reverse("lesion_new", args=[chart.patient.pk])
    return cast.alice.client.post(address, fields | {"clinic": str(cast.north.pk)})


def marked(cast, chart) -> list[str]:
    """Besides the one that the chart has."""
    with cast.in_north():
        return [lesion.label for lesion in Lesion.objects.filter(patient=chart.patient, number__gt=1)]


def test_it_works(cast, chart):
    assert send(cast, chart, site="foot", laterality="left", **FOOT).status_code == 302
    assert marked(cast, chart) == ["2: Back of the foot, left"]


@pytest.mark.parametrize(("x", "y"), [("0.05", "0.05"), ("0.5", "0.8"), ("0.32", "0.45"), ("0.5", "0.95")])
def test_mark_beside_the_body_is_refused(cast, chart, x, y):
    page = send(cast, chart, **FACE, view="front", x=x, y=y).content.decode()
    assert "The mark is beside the body." in page
    assert marked(cast, chart) == []


def test_site_that_is_not_at_the_mark_is_asked_about_and_may_be_right(cast, chart):
    page = send(cast, chart, **FACE, **FOOT).content.decode()
    assert "The mark is at: Back of the foot, left. You chose: Face, left." in page
    assert marked(cast, chart) == []
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', page)[1]
    assert send(cast, chart, **FACE, **FOOT, confirmed=confirmed).status_code == 302
    assert marked(cast, chart) == ["2: Face, left"]


def test_what_was_confirmed_holds_for_that_place_alone(cast, chart):
    page = send(cast, chart, **FACE, **FOOT).content.decode()
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', page)[1]
    page = send(cast, chart, site="ear", laterality="left", **FOOT, confirmed=confirmed).content.decode()
    assert "You chose: Ear, left." in page
    assert marked(cast, chart) == []


@pytest.mark.parametrize(
    ("view", "laterality", "is_asked"),
    [("front", "left", False), ("front", "right", True), ("front", "midline", True), ("back", "left", True)],
)
def test_other_side_than_the_marks_is_asked_about(cast, chart, view, laterality, is_asked):
    site = "foot" if view == "front" else "sole"
    page = send(cast, chart, site=site, laterality=laterality, **(FOOT | {"view": view})).content.decode()
    assert ("You chose" in page) is is_asked


@pytest.mark.parametrize(
    ("site", "view", "x", "y", "belongs"),
    [
        ("face", "front", 0.5, 0.08, True),
        ("chest", "front", 0.5, 0.15, True),  # by the neck: bodies differ
        ("nail", "front", 0.59, 0.885, True),
        ("sole", "back", 0.59, 0.885, True),
        ("back", "front", 0.5, 0.3, False),
        ("abdomen", "front", 0.79, 0.42, False),
        ("forearm", "front", 0.79, 0.42, True),
    ],
)
def test_neighbours_belong_and_others_do_not(site, view, x, y, belongs):
    side = "midline" if x == 0.5 else "left" if view == "front" else "right"
    assert fits(site=site, laterality=side, view=view, x=x, y=y) is belongs


def test_no_place_on_the_body_is_without_a_site():
    places = [(view, x / 100, y / 200) for view in ("front", "back") for x in range(100) for y in range(200)]
    assert [each for each in places if is_on_body(*each[1:]) and not sites_at(*each)] == []
