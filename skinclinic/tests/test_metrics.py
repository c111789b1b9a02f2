"""What Prometheus is told, and that the alarms that come with it ask for figures that exist."""

import re
from datetime import timedelta

import pytest
import yaml
from django.conf import settings as project
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from screening.models import Screening
from skinclinic.audit.sealing import seal_ledger
from skinclinic.testing import servers
from skinclinic.workers import say_alive

TOKEN = "a-long-random-text"
ALERTS = project.BASE_DIR / "deploy" / "alerts.yml"


@pytest.fixture(autouse=True)
def with_token(settings):
    settings.METRICS_TOKEN = TOKEN


def scrape(token: str = TOKEN):
    return Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})


def figures() -> dict[str, float]:
    """By name and labels: `skinclinic_workers{model=2026.11.1}`."""
    found = {}
    for family in text_string_to_metric_families(scrape().content.decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.mark.parametrize("token", ["", "another", "ä"])
def test_nothing_is_told_without_the_token(db, token):
    assert scrape(token).status_code == 404


def test_nothing_is_told_where_no_token_is_set(db, settings):
    settings.METRICS_TOKEN = ""
    assert scrape("").status_code == 404


def test_requests_are_counted_by_view_and_not_by_address(cast, chart):
    before = figures()
    for path in (f"/patients/{chart.patient.pk}/", "/patients/", "/patients/", "/nowhere/Winterbottom/"):
        cast.alice.client.get(path)
    after = figures()
    told = {name: after[name] - before.get(name, 0) for name in after if name.startswith("skinclinic_requests_total")}
    assert told["skinclinic_requests_total{method=GET,status=200,view=patients}"] == 2
    assert told["skinclinic_requests_total{method=GET,status=200,view=patient_chart}"] == 1
    assert told["skinclinic_requests_total{method=GET,status=404,view=none}"] == 1
    assert not any(word in scrape().content.decode() for word in ("Winterbottom", str(chart.patient.pk), "North"))


def test_open_readings_and_their_age_are_told(cast, screening):
    with cast.in_north():
        Screening.objects.update(created_at=timezone.now() - timedelta(seconds=600))
    told = figures()
    assert told["skinclinic_open_readings"] == 1
    assert 600 <= told["skinclinic_oldest_open_reading_seconds"] < 700


def test_outcomes_of_the_last_hour_are_those_of_all_clinics(cast, screening):
    with cast.in_north():
        Screening.objects.update(
            reading_status="failed", failure_code="worker_lost", finished_at=screening.created_at + timedelta(seconds=4)
        )
    told = figures()
    assert told["skinclinic_photographs_of_last_hour{status=failed}"] == 1
    assert told["skinclinic_reading_p95_seconds{status=failed}"] == pytest.approx(4, abs=0.01)
    with cast.in_north():
        Screening.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert "skinclinic_photographs_of_last_hour{status=failed}" not in figures()


def test_workers_are_counted_by_their_model(db):
    say_alive("here", 1, "2026.11.1")
    say_alive("there", 2, "2026.11.1")
    assert figures()["skinclinic_workers{model=2026.11.1}"] >= 2


def test_lines_that_wait_for_a_seal_are_told(real_cast):
    assert figures()["skinclinic_unsealed_lines"] > 0
    seal_ledger()
    assert (figures()["skinclinic_unsealed_lines"], figures()["skinclinic_oldest_unsealed_seconds"]) == (0, 0)


def test_database_that_is_away_is_told(real_db):
    connection.close()
    host, connection.settings_dict["HOST"] = connection.settings_dict["HOST"], "/nowhere"
    try:
        told = figures()
    finally:
        connection.close()
        connection.settings_dict["HOST"] = host
    assert told["skinclinic_database_up"] == 0
    assert "skinclinic_open_readings" not in told


def test_broker_that_is_away_is_told(db):
    servers.valkey.stop()
    try:
        told = figures()
    finally:
        servers.valkey.start()
    assert (told["skinclinic_broker_up"], told["skinclinic_database_up"]) == (0, 1)


def test_alerts_ask_for_figures_that_are_told(cast, screening):
    say_alive("here", 1, "2026.11.1")
    figures()  # a request, which the next one tells of
    told = {name.partition("{")[0] for name in figures()}
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    asked = {word for rule in rules for word in re.findall(r"skinclinic_\w+", rule["expr"])}
    assert asked <= told
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    assert all(rule["annotations"].keys() == {"summary", "do"} for rule in rules)
