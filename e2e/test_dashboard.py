"""A manager's day: the alarm of a worker that stops, failed readings, and another model by two people."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast, make_chart, make_screening
from e2e.steps import sign_in
from ml.fake import load
from screening.models import Alarm, ModelVersion, ReadingPolicy, Screening, SwitchRequest
from screening.reader import register_version
from screening.services.versions import begin_policy
from screening.tests.conftest import rows, status_of, the_only, wait_until
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.browser
# One that was only noted, before the worker had called in, is over by itself.
RAISED = {"code": "worker", "raised_at__isnull": False}
ALARM = "No worker is there to read photographs."


def test_an_alarm_from_a_stopped_worker_to_its_acknowledgement_and_its_end(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable, broker
):
    worker = start_worker(beat=True, ALARM_SWEEP_EVERY="1", ALARM_AFTER="1", NOTICE_MAIL_AFTER="0")
    ada = sign_in(open_page(), real_cast.ada)
    ada.get_by_role("link", name="Dashboard").click()
    expect(ada.get_by_role("heading", name="Workers")).to_be_visible()
    worker.process.kill()
    for key in broker.scan_iter(match="skinclinic:worker:*"):
        broker.delete(key)  # as it would be after 20 s
    wait_until(lambda: any(alarm.raised_at for alarm in rows(real_cast, Alarm, code="worker")))
    ada.reload()
    expect(ada.get_by_text(ALARM)).to_be_visible()
    ada.get_by_role("link", name="Acknowledge").first.click()
    ada.get_by_label("What is being done about it").fill("The machine is started again.")
    ada.get_by_role("button", name="Acknowledge").click()
    expect(ada.get_by_text("Acknowledged. It stays here until it is over.")).to_be_visible()
    start_worker()
    wait_until(lambda: the_only(real_cast, Alarm, **RAISED).ended_at is not None)
    ada.reload()
    over = ada.get_by_role("region", name="Over")
    expect(over.get_by_text(ALARM)).to_be_visible()
    expect(over.get_by_text("The machine is started again.")).to_be_visible()
    alarm = the_only(real_cast, Alarm, **RAISED)
    assert (alarm.acknowledged_by, alarm.note) == (real_cast.ada.user, "The machine is started again.")


def test_failed_readings_are_tried_again_and_another_model_reads_by_two(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable, random_photograph: Callable[[], bytes]
):
    chart = make_chart(real_cast.alice)
    failed = [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(2)]
    deciding = register_version(load().manifest)
    other, _ = ModelVersion.objects.get_or_create(
        version="2026.10.1", defaults={"weights_sha256": "0" * 64, "preprocessing": "1", "manifest": {}}
    )
    with real_cast.in_north() as actor:
        begin_policy(actor=actor, version=deciding)
        Screening.objects.update(reading_status="failed", failure_code="model_error")

    ada = sign_in(open_page(), real_cast.ada)
    ada.goto("/dashboard/unread/")
    expect(ada.get_by_text("2 × The model could not read this photograph")).to_be_visible()
    ada.get_by_label("Reason").select_option("The worker was mended")
    ada.get_by_role("button", name="Try those that are ticked again").click()
    expect(ada.get_by_text("2 photographs wait to be read again.")).to_be_visible()
    start_worker(beat=True)
    wait_until(lambda: {status_of(each) for each in failed} == {"predicted"})

    ada.get_by_role("link", name="Models").click()
    panel = ada.get_by_role("region", name="Model 2026.10.1")
    panel.get_by_text("Make it active", exact=True).click()
    panel.get_by_label("Why it becomes the active one").fill("Better on our own lesions")
    panel.get_by_role("button", name="Ask to read with 2026.10.1").click()
    expect(ada.get_by_text("Asked. Another manager or a reviewer has to agree")).to_be_visible()
    expect(ada.get_by_role("button", name="Agree: it reads from the next photograph on")).to_have_count(0)
    rita = sign_in(open_page(), real_cast.rita)
    rita.get_by_role("link", name="Models").click()
    rita.get_by_label("Why you agree").fill("Seen on both")
    rita.get_by_role("button", name="Agree: it reads from the next photograph on").click()
    expect(rita.get_by_text("two people agreed")).to_be_visible()

    ada.reload()
    ada.get_by_role("link", name="Look back: everything it read").click()
    expect(ada.get_by_role("row").filter(has_text="Winterbottom, Erna")).to_have_count(2)
    with real_cast.in_north():
        policy, asked = ReadingPolicy.objects.get(), SwitchRequest.objects.get()
        assert (policy.active_id, policy.previous_id) == (other.pk, deciding.pk)
        assert (asked.asked_by_id, asked.agreed_by_id) == (real_cast.ada.user.pk, real_cast.rita.user.pk)
        assert AuditEvent.objects.filter(reason="worker_mended", subject_type="screening_screening").count() == 2
