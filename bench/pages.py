"""How soon each page stands, and how still: `python bench/pages.py ADDRESS EMAIL PASSWORD`, against a running `bin/up`.

The person is one who photographs, reviews and manages (`bin/up manage let_in`).

Headless Chromium with an empty cache at each first look: largest contentful paint and layout shift as the browser tells
them, the bytes of the page itself, and the next visit from the key to its photograph. `CHROMIUM` names another browser.
"""

import argparse
import os
import shutil
import statistics
import time
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

PAINT_BAR, SHIFT_BAR, HTML_BAR = 1500.0, 0.1, 60_000
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
# Largest contentful paint, ms; the sum of shifts that nobody asked for.
TOLD = """() => new Promise((done) => {
  let paint = 0, shift = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { paint = entry.startTime; }))
    .observe({ type: "largest-contentful-paint", buffered: true });
  new PerformanceObserver((list) => list.getEntries().filter((entry) => !entry.hadRecentInput)
    .forEach((entry) => { shift += entry.value; }))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done([paint, shift]), 1200);
})"""
PHOTOGRAPH_STANDS = """() => {
  const stage = document.querySelector("#viewer-stage");
  return stage?.querySelector("canvas") || stage?.querySelector("img")?.complete;
}"""
# Each page: where it is, or a page above it and the link there that leads to it, so that no key need be known.
WAYS = [
    ("today", "/today/", None),
    ("dashboard", "/dashboard/", None),
    ("alarms", "/dashboard/alarms/", None),
    ("not read", "/dashboard/unread/", None),
    ("overdue", "/dashboard/overdue/", None),
    ("agreement", "/dashboard/agreement/", None),
    ("truth", "/dashboard/truth/", None),
    ("drift", "/dashboard/drift/", None),
    ("side by side", "/dashboard/beside/", None),
    ("incidents", "/incidents/", None),
    ("exports", "/exports/", None),
    ("people", "/clinic/people/", None),
    ("openings", "/clinic/openings/", None),
    ("systems", "/clinic/systems/", None),
    ("settings", "/clinic/settings/", None),
    ("problems", "/problems/", None),
    ("ledger", "/ledger/", None),
    ("notices", "/notices/", None),
    ("imports", "/imports/", None),
    ("import", "imports", "main a[href^='/imports/']:not([href$='.csv'])"),
    ("worklist", "/worklist/", None),
    ("patients", "/patients/", None),
    ("models", "/models/", None),
    ("card", "models", "main a[href$='/card/']"),
    ("look back", "models", "main a[href$='/look-back/']"),
    ("chart", "patients", "main a[href^='/patients/']:not([href$='new/'])"),
    ("lesion", "chart", "main a[href^='/lesions/']"),
    ("compare", "chart", "main a[href$='/compare/']"),
    ("visit", "worklist", "#worklist a[href^='/visits/']"),
    ("result", "visit", "#screenings a"),
    ("history", "result", "main a[href$='/history/']"),
]


@dataclass
class Measured:
    name: str
    paints: list[float]
    shifts: list[float]
    size: int


def sign_in(page: Page, address: str, email: str, password: str) -> None:
    page.goto(address)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Main").wait_for()


def measure(page: Page, name: str, address: str, rounds: int) -> Measured:
    paints, shifts, size = [], [], 0
    session = page.context.new_cdp_session(page)
    for _ in range(rounds):
        session.send("Network.clearBrowserCache")
        answer = page.goto(address)
        assert answer is not None, address
        assert answer.ok, f"{address}: {answer.status}"
        size = len(answer.body())
        paint, shift = page.evaluate(TOLD)
        paints.append(paint)
        shifts.append(shift)
    return Measured(name, paints, shifts, size)


def find_addresses(page: Page, base: str) -> dict[str, str]:
    """By the name of the page; without those that nothing leads to."""
    found: dict[str, str] = {}
    for name, start, link in WAYS:
        if link is None:
            found[name] = base + start
        elif start in found:
            page.goto(found[start])
            there = page.locator(link).first
            if there.count():
                found[name] = base + (there.get_attribute("href") or "")
    return found


def time_next_visit(browser: Browser, base: str, email: str, password: str, rounds: int) -> list[float]:
    """Milliseconds from the key `n` to the next visit's photograph, which was fetched ahead."""
    page = browser.new_page(base_url=base, viewport={"width": 1440, "height": 900})
    sign_in(page, base, email, password)
    page.goto("/worklist/")
    page.keyboard.press("n")
    page.wait_for_url("**/screenings/**")
    took = []
    for _ in range(rounds):
        page.wait_for_timeout(2500)  # while she reads, the next one is fetched
        before = page.url
        began = time.perf_counter()
        page.keyboard.press("n")
        page.wait_for_url(lambda url, before=before: url != before and "/screenings/" in url, wait_until="commit")
        page.wait_for_function(PHOTOGRAPH_STANDS)
        took.append(1000 * (time.perf_counter() - began))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("email")
    parser.add_argument("password")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    base = asked.address.rstrip("/")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    table = Table("page", "LCP ms, median", "worst", "CLS, worst", "HTML bytes", title="Pages")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        sign_in(page, base, asked.email, asked.password)
        for name, address in find_addresses(page, base).items():
            found = measure(page, name, address, asked.rounds)
            met = max(found.paints) < PAINT_BAR and max(found.shifts) < SHIFT_BAR and found.size < HTML_BAR
            table.add_row(
                name, f"{statistics.median(found.paints):.0f}", f"{max(found.paints):.0f}",
                f"{max(found.shifts):.3f}", str(found.size), style="" if met else "red",
            )  # fmt: skip
        took = time_next_visit(browser, base, asked.email, asked.password, asked.rounds)
    console = Console()
    console.print(table)
    console.print(f"Next visit, key to photograph: median {statistics.median(took):.0f} ms, worst {max(took):.0f} ms.")


if __name__ == "__main__":
    main()
