"""What load balancers and monitors are told, with the servers there and away."""

import time

import pytest
from django.db import connection
from django.test import Client

from conftest import make_chart, make_screening
from screening.models import Screening
from skinclinic.checks import application_role_is_bound
from skinclinic.testing import servers


def test_alive_needs_no_server(db):
    assert Client().get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/readyz/reading"])
def test_a_monitor_may_ask_without_wanting_the_body(db, address):
    answer = Client().head(address)
    assert (answer.status_code, answer.content) == (200, b"")


def test_ready_names_what_is_ready(db):
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok", "migrations": "ok"})


def test_not_ready_while_the_database_is_away(real_db):
    connection.close()
    host, connection.settings_dict["HOST"] = connection.settings_dict["HOST"], "/nowhere"
    try:
        answer = Client().get("/readyz")
    finally:
        connection.close()
        connection.settings_dict["HOST"] = host
    assert (answer.status_code, answer.json()["database"]) == (503, "cannot be reached")


def test_stuck_reading_is_told_and_does_not_take_the_portal_away(cast, chart, screening, settings):
    assert Client().get("/readyz/reading").json()["open_readings"] == 1
    with cast.in_north():
        Screening.objects.update(created_at="2026-01-01T00:00Z")
    answer = Client().get("/readyz/reading")
    assert (answer.status_code, answer.json()["reading"]) == (503, "stuck")
    assert Client().get("/readyz").status_code == 200


def test_broker_away_is_told(real_cast):
    make_screening(real_cast.alice, make_chart(real_cast.alice), drawn())
    servers.valkey.stop()
    began = time.monotonic()
    try:
        answer = Client().get("/readyz/reading")
    finally:
        servers.valkey.start()
    assert time.monotonic() - began < 5, "it is asked once"
    assert (answer.status_code, answer.json()["broker"]) == (503, "cannot be reached")
    assert Client().get("/readyz/reading").json()["broker"] == "ok"


def drawn() -> bytes:
    from io import BytesIO

    from ml.drawing import draw_photograph

    buffer = BytesIO()
    draw_photograph(2).save(buffer, "JPEG")
    return buffer.getvalue()


def test_backlog_tells_no_clinics_names(cast, chart, screening):
    body = Client().get("/readyz/reading").content.decode()
    assert str(cast.north.pk) not in body
    assert "North" not in body


@pytest.mark.django_db
def test_application_role_is_bound_by_row_level_security():
    assert application_role_is_bound(databases=["default"]) == []


def test_owner_role_in_its_place_is_an_error(db, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone()[0] == "skinclinic_web"
    from skinclinic import checks

    class Owner:
        def cursor(self):
            import psycopg2

            from conftest import TEMPLATE

            return psycopg2.connect(servers.postgres.owner_url(TEMPLATE)).cursor()

    monkeypatch.setattr(checks, "connections", {"default": Owner()})
    assert [error.id for error in application_role_is_bound(databases=["default"])] == ["skinclinic.E001"]
