"""What a version has read, and who relied on it."""

import csv
import io

from django.urls import reverse

from conftest import Cast
from screening.models import (
    Screening,
)
from screening.services.reviews import Opinion
from screening.tests.conftest import BENIGN, fresh, give, rows, sign
from screening.tests.versions import (
    NEW,
    OLD,
    models,
    own_readers,
    post,
    read,
    upload,
)
from skinclinic.audit.models import AuditEvent

__all__ = ["models", "own_readers"]  # fixtures


def opinion_like(screening: Screening) -> Opinion:
    """One that agrees with the reading."""
    if fresh(screening).prediction.refer:
        return Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")
    return BENIGN


def looked_back(cast: Cast, version: str, **asked: str) -> str:
    return cast.ada.client.get(reverse("look_back", args=[version]), asked).content.decode()


def test_looking_back_finds_all_that_a_version_read_and_who_relied_on_it(real_cast, models, random_photograph):
    shadowed = upload(real_cast, random_photograph())
    post(real_cast.ada, "shadow_begin", NEW)
    read(shadowed)
    signed = upload(real_cast, random_photograph())
    read(signed)
    give(real_cast, signed, opinion_like(signed))
    sign(real_cast, signed.visit)
    with real_cast.in_north():
        Screening.objects.filter(pk=shadowed.pk).update(
            withdrawn_at=signed.created_at, withdrawn_reason="wrong_patient"
        )
    page = looked_back(real_cast, OLD)
    assert "<dt>Photographs</dt><dd>2</dd>" in page
    assert "<dt>Of these it decided</dt><dd>2</dd>" in page
    assert "Rita Rowan: 1 times, signed 1" in page
    assert "Withdrawn</span>" in page
    beside = looked_back(real_cast, NEW)
    assert "<dt>Of these it decided</dt><dd>0</dd>" in beside
    assert "beside the deciding one" in beside
    assert "Rita Rowan: 1" not in beside
    lines = list(csv.DictReader(io.StringIO(looked_back(real_cast, OLD, csv=""))))
    assert [(line["decided"], line["shown to"], line["signed by"], line["withdrawn"]) for line in lines] == [
        ("yes", "Rita Rowan", "Rita Rowan", ""),
        ("yes", "", "", "yes"),
    ]
    assert "read nothing in this clinic" in real_cast.bob.client.get(
        reverse("look_back", args=[OLD])
    ).content.decode()  # fmt: skip
    assert real_cast.rita.client.get(reverse("look_back", args=[OLD])).status_code == 403
    assert real_cast.ada.client.get(reverse("look_back", args=["nothing"])).status_code == 404
    exported = [event.changes for event in rows(real_cast, AuditEvent, action="look_back_exported")]
    assert exported == [{"version": OLD, "lines": 2}]


def test_looking_back_takes_few_queries(real_cast, models, random_photograph, django_assert_max_num_queries):
    for _ in range(4):
        read(upload(real_cast, random_photograph()))
    client = real_cast.ada.client
    client.get(reverse("look_back", args=[OLD]))
    with django_assert_max_num_queries(15 + 2):
        client.get(reverse("look_back", args=[OLD]))
