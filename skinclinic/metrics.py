"""What Prometheus is told of the web and of the installation: how many and how long, of no clinic and no patient."""

import hmac
import os
import time
from collections.abc import Callable, Iterable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from screening.services.queue import waiting_in_broker
from screening.services.readings import reading_backlog, reading_outcomes
from skinclinic.audit.acting import acting, system
from skinclinic.audit.sealing import unsealed
from skinclinic.workers import call_roll

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
REQUESTS = Counter("skinclinic_requests", "Requests that were answered.", ["view", "method", "status"])
REQUEST_SECONDS = Histogram("skinclinic_request_seconds", "Until an answer began.", ["view"], buckets=BOUNDS)


class CountedRequests:
    """Counts by the name of the view: an address has keys in it, and there are too many of them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        view = (match.view_name or match.route) if match else "none"
        method = request.method if request.method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} else "other"
        REQUESTS.labels(view, method, response.status_code).inc()
        REQUEST_SECONDS.labels(view).observe(time.perf_counter() - began)
        return response


class Installation(Collector):
    """Asked at each scrape. What cannot be asked is left out, and its `_up` is 0."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield from broker()
        try:
            with acting(system()):
                found = [*readings(), *ledger()]
        except DatabaseError:
            connection.close()
            found = []
        yield gauge("database_up", "Whether the database answers.", 1 if found else 0)
        yield from found


def gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"skinclinic_{name}", told, value=value)


def gauges(name: str, told: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"skinclinic_{name}", told, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def broker() -> Iterable[GaugeMetricFamily]:
    roll, messages = call_roll(), waiting_in_broker()
    yield gauge("broker_up", "Whether the broker answers.", 0 if roll is None or messages is None else 1)
    if roll is None or messages is None:
        return
    models = list(roll.workers.values())
    yield gauges("workers", "Workers that are there.", "model", {each: models.count(each) for each in models})
    yield gauge("workers_refused", "Machines on which a worker refuses to start.", len(roll.refused))
    yield gauge("watched", "Whether the beat's watch looks for alarms and seals the ledger.", roll.watched)
    yield gauge("broker_messages", "Messages that wait in the broker, upkeep apart.", messages)


def readings() -> Iterable[GaugeMetricFamily]:
    backlog = reading_backlog()
    oldest = max((clinic.oldest_seconds for clinic in backlog), default=0)
    yield gauge("open_readings", "Photographs that wait to be read.", sum(clinic.open_readings for clinic in backlog))
    yield gauge("oldest_open_reading_seconds", "Age of the oldest photograph that waits to be read.", oldest)
    last_hour = reading_outcomes()
    counts = {each.status: each.photographs for each in last_hour}
    yield gauges("photographs_of_last_hour", "Photographs of the last hour by what became of them.", "status", counts)
    typical = {each.status: each.typical_seconds for each in last_hour if each.typical_seconds is not None}
    slow = {each.status: each.slow_seconds for each in last_hour if each.slow_seconds is not None}
    yield gauges("reading_median_seconds", "From upload to result in the last hour, median.", "status", typical)
    yield gauges("reading_p95_seconds", "From upload to result in the last hour, 95 of 100.", "status", slow)


def ledger() -> Iterable[GaugeMetricFamily]:
    waiting = unsealed()
    age = (timezone.now() - waiting.oldest).total_seconds() if waiting.oldest else 0
    yield gauge("unsealed_lines", "Lines of the ledger that no seal is over yet.", waiting.lines)
    yield gauge("oldest_unsealed_seconds", "Age of the oldest of them.", age)


@require_GET
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """For who knows METRICS_TOKEN; where there is none, there is nothing here."""
    given, wanted = request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Http404
    installation = CollectorRegistry()
    installation.register(Installation())
    body = generate_latest(of_all_processes()) + generate_latest(installation)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def of_all_processes() -> CollectorRegistry:
    """Several web processes tell each other by files in PROMETHEUS_MULTIPROC_DIR (see `deploy/gunicorn.conf.py`)."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


metrics.no_acting = True  # type: ignore[attr-defined]
