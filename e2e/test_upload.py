"""Photographs on their way in: many and large, over a line that breaks, beside a session that ends."""

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from io import BytesIO

import psutil
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from conftest import Cast, Chart, make_chart
from e2e.steps import READ, drawn, sign_in, upload
from ml.drawing import draw_photograph
from screening.models import LesionImage, Overview, PhotographScale, Screening
from screening.tests.conftest import read_by_model, rows, the_only, wait_until
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.browser
WEB_MEGABYTES, WORKER_MEGABYTES = 200, 250


class Line:
    """A line to the clinic. It breaks after `passes` more bytes have gone in, or keeps every answer to itself."""

    def __init__(self, portal: str):
        self.clinic = ("127.0.0.1", int(portal.rsplit(":", 1)[1]))
        self.passes: int | None = None
        self.swallows_answers = False
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                browser, _ = self.listener.accept()
                clinic = socket.create_connection(self.clinic)
            except OSError:
                return
            self.open += [browser, clinic]
            for source, sink in ((browser, clinic), (clinic, browser)):
                threading.Thread(target=self.forward, args=(source, sink, sink is clinic), daemon=True).start()

    def forward(self, source: socket.socket, sink: socket.socket, inwards: bool) -> None:
        try:
            while data := source.recv(16_384):
                if inwards and self.passes is not None:
                    self.passes -= len(data)
                    if self.passes < 0:
                        break
                if not inwards and self.swallows_answers:
                    break
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.passes, self.swallows_answers = None, False

    def close(self) -> None:
        self.listener.close()
        for end in self.open:
            end.close()


@pytest.fixture
def line(portal: str) -> Iterator[Line]:
    made = Line(portal)
    yield made
    made.close()


@pytest.fixture
def chart(real_cast: Cast) -> Chart:
    return make_chart(real_cast.alice)


def go_to_visit(page: Page, chart: Chart) -> Page:
    page.goto(f"/visits/{chart.visit.pk}/")
    return page


def large(seed: int) -> dict[str, object]:
    """A file of 12 megapixels, as phones send them."""
    buffer = BytesIO()
    draw_photograph(seed).resize((4000, 3000), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
    return {"name": f"large-{seed}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


def megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6


def web_processes(portal: str) -> list[psutil.Process]:
    bound = portal.removeprefix("http://")
    masters = [each for each in psutil.process_iter(["cmdline"]) if bound in (each.info["cmdline"] or [])]
    return [child for master in masters for child in master.children()]


def test_ten_photographs_of_12_megapixels_come_back_with_a_result(
    real_cast: Cast, chart: Chart, portal: str, open_page: Callable[..., Page], start_worker: Callable
):
    worker = start_worker(beat=True, PREDICTOR="ml.predictor.load")
    page = go_to_visit(sign_in(open_page(), real_cast.alice), chart)
    page.set_default_timeout(60_000)
    page.get_by_label("Choose photographs").set_input_files([large(seed) for seed in range(10)])
    page.evaluate(
        "() => { window.blocked = 0; new PerformanceObserver(list => list.getEntries().forEach(task => {"
        " window.blocked = Math.max(window.blocked, task.duration) })).observe({ type: 'longtask' }) }"
    )
    page.get_by_role("button", name=re.compile("^Upload for")).click()
    page.get_by_label("Ulcerated").check()  # the page goes on working meanwhile
    expect(page.get_by_text("10 of 10 stored.")).to_be_visible(timeout=60_000)
    expect(page.locator(f"{READ}, #screenings .chip-unscorable")).to_have_count(10, timeout=60_000)
    assert page.evaluate("window.blocked") < 500, "ms"
    assert {each.reading_status for each in rows(real_cast, Screening)} <= {"predicted", "unscorable"}
    images = rows(real_cast, LesionImage)
    assert {(image.width, image.height) for image in images} == {(4000, 3000)}
    assert len({image.sha256 for image in images}) == 10
    assert {tuple(image.findings) for image in images} == {()}, "ticked after they were sent"
    assert all(megabytes(process) < WEB_MEGABYTES for process in web_processes(portal))
    assert web_processes(portal)
    assert megabytes(worker.child()) < WORKER_MEGABYTES


def asks_before_leaving(page: Page) -> bool:
    return not page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))")


def test_line_that_breaks_on_the_way_in_is_tried_again(
    real_cast: Cast, chart: Chart, line: Line, open_page: Callable[..., Page]
):
    page = go_to_visit(sign_in(open_page(address=line.address), real_cast.alice), chart)
    noise = BytesIO()
    Image.frombytes("RGB", (900, 600), os.urandom(900 * 600 * 3)).save(noise, "JPEG", quality=95)
    line.passes = 200_000
    page.get_by_label("Choose photographs").set_input_files(
        [{"name": "noise.jpg", "mimeType": "image/jpeg", "buffer": noise.getvalue()}]
    )
    page.get_by_role("button", name=re.compile("^Upload for")).click()
    expect(page.get_by_text("0 of 1 stored, 1 not stored yet.")).to_be_visible()
    expect(page.get_by_text(re.compile("The connection broke off"))).to_be_visible()
    assert page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))") is False, (
        "asks before leaving"
    )
    assert rows(real_cast, LesionImage) == []
    line.mend()
    expect(page.get_by_text("1 of 1 stored.")).to_be_visible()
    assert not asks_before_leaving(page)
    the_only(real_cast, LesionImage)


def test_photograph_whose_answer_was_lost_is_stored_once(
    real_cast: Cast, chart: Chart, line: Line, open_page: Callable[..., Page]
):
    page = go_to_visit(sign_in(open_page(address=line.address), real_cast.alice), chart)
    line.swallows_answers = True
    page.get_by_label("Choose photographs").set_input_files([drawn(3)])
    page.get_by_role("button", name=re.compile("^Upload for")).click()
    expect(page.get_by_text(re.compile("or its answer was lost"))).to_be_visible()
    wait_until(lambda: len(rows(real_cast, LesionImage)) == 1)
    line.mend()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_text("Stored; it waits to be read.")).to_be_visible()
    the_only(real_cast, LesionImage)
    the_only(real_cast, Screening)


def test_signing_out_elsewhere_loses_no_photograph(real_cast: Cast, chart: Chart, open_page: Callable[..., Page]):
    page = go_to_visit(sign_in(open_page(), real_cast.alice), chart)
    elsewhere = page.context.new_page()
    elsewhere.goto("/accounts/logout/")
    elsewhere.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.get_by_label("Choose photographs").set_input_files([drawn(3)])
    page.get_by_role("button", name=re.compile("^Upload for")).click()
    expect(page.get_by_text("You were signed out. Sign in in another window")).to_be_visible()
    assert rows(real_cast, LesionImage) == []
    sign_in(elsewhere, real_cast.alice)
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("1 of 1 stored.")).to_be_visible()
    assert the_only(real_cast, LesionImage).uploaded_by_id == real_cast.alice.user.pk


def test_too_large_a_file_is_refused_before_it_is_sent(real_cast: Cast, chart: Chart, open_page: Callable[..., Page]):
    page = go_to_visit(sign_in(open_page(phone=True), real_cast.alice), chart)
    page.get_by_label("Choose photographs").set_input_files(
        [{"name": "huge.jpg", "mimeType": "image/jpeg", "buffer": bytes(26 * 1024 * 1024)}, drawn(3)]
    )
    page.get_by_role("button", name=re.compile("^Upload for")).click()
    expect(page.get_by_text("1 of 2 stored, 1 refused.")).to_be_visible()
    expect(page.get_by_text("The file is larger than 25 MB.")).to_be_visible()
    the_only(real_cast, LesionImage)


def test_overview_is_seen_beside_the_lesion_and_a_scale_is_set_by_keyboard(
    real_cast: Cast, chart: Chart, open_page: Callable[..., Page]
):
    alice = go_to_visit(sign_in(open_page(phone=True), real_cast.alice), chart)
    upload(alice, drawn(3))
    alice.get_by_text(re.compile("^Overview: where it sits")).click()
    expect(alice.get_by_label("Ulcerated")).to_be_hidden()
    alice.get_by_label("Choose photographs").set_input_files([drawn(4)])
    alice.get_by_role("button", name=re.compile("^Upload for")).click()
    expect(alice.get_by_text("Stored as an overview photograph.")).to_be_visible()
    overview, screening = the_only(real_cast, Overview), the_only(real_cast, Screening)
    read_by_model(real_cast, screening, refer=False)

    rita = sign_in(open_page(), real_cast.rita)
    rita.goto(f"/screenings/{screening.pk}/")
    rita.get_by_role("button", name="Ruler").click()
    expect(rita.get_by_text("No scale is known for this photograph")).to_be_visible()
    expect(rita.get_by_label(re.compile("^First end of the ruler"))).to_be_focused()
    for _ in range(5):
        rita.keyboard.press("Shift+ArrowLeft")
    rita.get_by_label("The line is").fill("8")
    rita.get_by_role("button", name="Keep the scale").click()
    expect(rita.get_by_text("The scale is kept.")).to_be_visible()
    scale = the_only(real_cast, PhotographScale)
    assert (scale.millimetres, scale.set_by_id, scale.image_id) == (8, real_cast.rita.user.pk, screening.image_id)
    assert (scale.x1, scale.x2, scale.y1, scale.y2) == pytest.approx((0.25, 0.65, 0.5, 0.5), abs=0.001)
    rita.get_by_role("button", name="Ruler").click()
    expect(rita.locator("#ruler-said")).to_have_text("6.0 mm")  # 0.3 of the width, where 0.4 are 8 mm
    rita.get_by_role("link", name=re.compile("^Overview of")).click()
    expect(rita.get_by_text("It shows where the lesion sits.")).to_be_visible()
    seen = rows(real_cast, AuditEvent, action="overview_seen")
    assert [event.subject_id for event in seen] == [str(overview.pk)]
