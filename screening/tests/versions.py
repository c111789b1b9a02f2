"""What tests of the clinic's models begin with, and how they are acted on through the pages."""

from pathlib import Path

import pytest
from django.urls import reverse

from conftest import Cast, make_chart, make_screening
from ml.fake import load as load_fake
from screening.models import (
    ModelVersion,
    Prediction,
    ReadingPolicy,
    Screening,
    SwitchRequest,
)
from screening.reader import forget_readers, register_version
from screening.services import readings, versions
from skinclinic.audit.acting import acting, system

OLD, NEW = "2026.1.1", "2026.10.1"


@pytest.fixture(autouse=True)
def own_readers():
    """This process reads as a worker does; what it registers stands in this test's database only."""
    forget_readers()
    yield
    forget_readers()


@pytest.fixture
def models(real_cast) -> tuple[ModelVersion, ModelVersion]:
    """Two installed versions, of which the older one reads."""
    old, new = (register_version(load_fake(Path(version)).manifest) for version in (OLD, NEW))
    with real_cast.ada.acting() as actor:
        versions.begin_policy(actor=actor, version=old)
    return old, new


def upload(cast: Cast, photograph: bytes) -> Screening:
    return make_screening(cast.alice, make_chart(cast.alice), photograph)


def read(screening: Screening) -> None:
    readings.read_photograph(screening_id=screening.pk, clinic_id=screening.clinic_id)


def versions_that_read(screening: Screening) -> set[str]:
    with acting(system(clinic_id=screening.clinic_id)):
        return set(Prediction.objects.filter(screening=screening).values_list("model_version", flat=True))


def policy(cast: Cast) -> ReadingPolicy:
    with cast.in_north():
        return ReadingPolicy.objects.get()


def post(person, name: str, *keys, reason: str = "Better on our own lesions"):
    data = {"clinic": str(person.actor.clinic_id), "reason": reason}
    return person.client.post(reverse(name, args=keys), data, follow=True)


def agree(cast: Cast, person, reason: str = "I agree"):
    with cast.in_north():
        asked = SwitchRequest.objects.open().get()
    return post(person, "switch_agree", asked.pk, reason=reason)


def switch(cast: Cast, version: str, reason: str = "Better on our own lesions"):
    """As it is done: asked for by one, agreed to by another."""
    post(cast.ada, "version_switch", version, reason=reason)
    return agree(cast, cast.rita)
