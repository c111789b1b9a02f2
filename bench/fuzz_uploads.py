"""Spoilt photographs without end, over HTTP against a running clinic: `python bench/fuzz_uploads.py [--count 10000]`.

    [--seed 1] [--senders 4] [--webp] [--dicom] [--corpus]

JPEG and PNG (and WebP, DICOM objects) with flipped bits, bytes put in and taken out, segments and chunks of other
files, lengths and sizes that lie. Several are sent at once; what is taken is read by a real worker with the real model.
`--corpus` sends instead each file of `screening/tests/hostile.py` through the portal and through the REST API, and
holds each answer, row and stored byte against what is wanted of it.

Ends with 1 when a bar is missed: an answer of 500 or more, a process over 400 MB, rows that are not those that were
taken, stored bytes that are no picture, a reading that failed.
"""

import argparse
import os
import random
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psutil
import requests
from PIL import Image
from pipeline import Uploader, make_uploader
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import Stack, resident_megabytes, running_stack, wait_for

MOST_MEGABYTES = 400
Row = tuple[str, float, int | None]  # what, measured, at most
Spoil = Callable[[random.Random, bytearray, list[bytes]], None]


def flip_bits(rng: random.Random, data: bytearray, others: list[bytes]) -> None:
    for _ in range(rng.choice([1, 1, 2, 5, 40])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def put_in(rng: random.Random, data: bytearray, others: list[bytes]) -> None:
    place = rng.randrange(len(data))
    data[place:place] = rng.choice([rng.randbytes(rng.randint(1, 300)), b"\xff" * rng.randint(1, 300), bytes(50)])


def take_out(rng: random.Random, data: bytearray, others: list[bytes]) -> None:
    place = rng.randrange(len(data))
    del data[place : place + rng.randint(1, rng.choice([1, 4, 100, len(data)]))]


def double(rng: random.Random, data: bytearray, others: list[bytes]) -> None:
    start, place = rng.randrange(len(data)), rng.randrange(len(data))
    data[place:place] = data[start : start + rng.randint(1, 2000)]


def lie(rng: random.Random, data: bytearray, others: list[bytes]) -> None:
    """A length or a size, most of which stand near the beginning."""
    place = min(rng.randrange(rng.choice([40, 700, len(data)])), len(data) - 1)
    told = rng.choice([0, 1, 2, 63, 64, 255, 256, 4096, 7700, 32_767, 32_768, 65_535, 2**31 - 1, 2**31, 2**32 - 1])
    data[place : place + 4] = struct.pack(rng.choice([">I", "<I"]), told)[rng.choice([0, 2]) :]


def splice(rng: random.Random, data: bytearray, others: list[bytes]) -> None:
    """From a marker or a chunk of another file on."""
    other, place = rng.choice(others), rng.choice(joints(bytes(data)))
    start = rng.choice(joints(other))
    data[place : place + rng.choice([0, 0, 50, len(data)])] = other[start : start + rng.choice([30, 500, len(other)])]


def joints(data: bytes) -> list[int]:
    if data.startswith(b"\x89PNG"):
        found, place = [], 8
        while place + 8 < len(data):
            found.append(place)
            place += 12 + int.from_bytes(data[place : place + 4])
        return found or [0]
    return [place for place in range(len(data) - 1) if data[place] == 0xFF and data[place + 1] not in (0, 0xFF)] or [0]


SPOILERS: tuple[Spoil, ...] = (flip_bits, put_in, take_out, double, lie, lie, splice)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose checksums are right, whatever stands in its chunks, so that what is wrong is read."""
    out, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4])
        out += data[place:end] + struct.pack(">I", zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(out)


def spoilt(seed: int, bases: list[bytes]) -> bytes:
    rng = random.Random(seed)
    data = bytearray(rng.choice(bases))
    for _ in range(rng.choice([1, 1, 1, 1, 2, 3, 5])):
        rng.choice(SPOILERS)(rng, data, bases)
        data = data or bytearray(b"\xff")
    return with_checksums(bytes(data)) if data.startswith(b"\x89PNG") and rng.random() < 0.7 else bytes(data)


def bases_of(wanted: argparse.Namespace) -> list[bytes]:
    """Of each way to write a picture one; made by the corpus' own tools."""
    from screening.tests import forging
    from screening.tests.foreign import dicom, jpeg_2000

    made = [forging.jpeg(), forging.jpeg(progressive=True), forging.jpeg(restart_marker_blocks=3, subsampling=0)]
    made += [forging.encoded(forging.picture().convert(mode)) for mode in ("L", "CMYK")]
    made.append(forging.jpeg(exif=forging.named_exif(6), icc_profile=forging.profile(), comment=b"x" * 50))
    made += [
        forging.png(64, depth, colour, lace) for depth, colour, lace in ((8, 2, 0), (8, 6, 1), (16, 0, 0), (2, 3, 1))
    ]
    made += [forging.encoded(forging.picture().convert(mode), "PNG") for mode in ("RGB", "P", "LA")]
    made.append(forging.png(extra=forging.chunk(b"eXIf", forging.named_exif()[6:]) + forging.chunk(b"tRNS", bytes(6))))
    if wanted.webp:
        made += [forging.webp(), forging.webp(lossless=True), forging.webp(exif=forging.named_exif())]
        made.append(forging.encoded(forging.picture().convert("RGBA"), "WEBP", quality=60))
    if wanted.dicom:
        made += [dicom(), jpeg_2000(96)]
    return made


@dataclass
class Sent:
    statuses: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, 0)  # seconds, and the seed that made it
    faults: list[int] = field(default_factory=list)  # seeds

    def note(self, seed: int, answer: requests.Response) -> None:
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            self.faults.append(seed)
        if answer.status_code == 422:
            self.reasons[answer.json()["type"].rpartition(":")[2]] += 1
        self.slowest = max(self.slowest, (answer.elapsed.total_seconds(), seed))


def send_spoilt(uploader: Uploader, wanted: argparse.Namespace) -> Sent:
    bases, sent = bases_of(wanted), Sent()
    seeds = [wanted.seed * 1_000_000 + number for number in range(wanted.count)]

    def one(seed: int) -> tuple[int, requests.Response]:
        return seed, uploader.send(spoilt(seed, bases), timeout=120)

    with ThreadPoolExecutor(wanted.senders) as pool:
        done = pool.map(one, seeds)
        for seed, answer in track(done, "Sending", total=len(seeds), console=Console(stderr=True)):
            sent.note(seed, answer)
    return sent


@dataclass
class Peaks:
    """The most that one process of each kind had in memory, MB."""

    web: float = 0.0
    worker: float = 0.0
    apart: float = 0.0

    def look(self, stack: Stack) -> None:
        webs = stack.web.children()
        self.web = max(self.web, *map(resident_megabytes, webs))
        self.worker = max(self.worker, *map(resident_megabytes, stack.worker.children()))
        apart = [resident_megabytes(each) for web in webs for each in web.children()]
        self.apart = max([self.apart, *apart])


@contextmanager
def watching(stack: Stack) -> Iterator[Peaks]:
    from screening.tests.sending import peak_megabytes

    peaks, ended = Peaks(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            with suppress(psutil.NoSuchProcess):  # one that ended meanwhile
                peaks.look(stack)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
        peaks.web = max(peaks.web, peak_megabytes(stack.web.pid))
    finally:
        ended.set()
        watcher.join()


def kept(wait: float) -> dict[str, int]:
    """Of what is stored: rows, bytes that are no picture, readings by what became of them."""
    from screening.models import LesionImage, Screening
    from skinclinic.accounts.models import Clinic
    from skinclinic.audit.acting import acting, system

    actor, deadline = system(clinic_id=Clinic.objects.get(name="Bench").pk), time.monotonic() + wait
    while True:
        with acting(actor):
            readings = Counter(Screening.objects.values_list("reading_status", flat=True))
        if not readings["queued"] + readings["running"] or time.monotonic() > deadline:
            break
        time.sleep(1)
    with acting(actor):
        broken = sum(not is_picture(image.photograph.read()) for image in LesionImage.objects.iterator(100))
        return {"rows": LesionImage.objects.count(), "broken": broken} | readings


def is_picture(data: bytes) -> bool:
    try:
        Image.open(BytesIO(data), formats=["JPEG"]).load()
        return True
    except (OSError, SyntaxError, ValueError):
        return False


def report(rows: list[Row], title: str) -> int:
    table = Table("what", "measured", "at most", title=title)
    for what, measured, most in rows:
        table.add_row(
            what, f"{measured:.1f}" if isinstance(measured, float) else str(measured), "" if most is None else str(most)
        )
    Console(width=110).print(table)
    missed = [what for what, measured, most in rows if most is not None and measured > most]
    print(f"Missed: {'; '.join(missed)}." if missed else "All bars are kept.")
    return 1 if missed else 0


def fuzz(stack: Stack, wanted: argparse.Namespace) -> int:
    uploader, began = make_uploader(stack.address), time.monotonic()
    with watching(stack) as peaks:
        sent = send_spoilt(uploader, wanted)
        sending = time.monotonic() - began
        stored = kept(wait=1800)
    taken = sent.statuses[202]
    rows: list[Row] = [
        ("sent", wanted.count, None),
        ("sent in one second", wanted.count / sending, None),
    ]
    rows += [(f"answered {status}", number, None) for status, number in sorted(sent.statuses.items())]
    rows += [(f"refused: {reason}", number, None) for reason, number in sent.reasons.most_common()]
    rows += [
        ("answered 500 or more", len(sent.faults), 0),
        ("slowest answer, s", sent.slowest[0], None),
        ("web process at its largest, MB", peaks.web, MOST_MEGABYTES),
        ("worker child at its largest, MB", peaks.worker, MOST_MEGABYTES),
        ("process that decoded apart at its largest, MB", peaks.apart, None),
        ("rows that are not those taken", abs(stored.pop("rows") - taken), 0),
        ("stored bytes that are no picture", stored.pop("broken"), 0),
        ("readings that failed", stored.pop("failed", 0), 0),
        ("readings that are not done", stored.pop("queued", 0) + stored.pop("running", 0), 0),
    ]
    rows += [(f"readings: {status}", number, None) for status, number in stored.items()]
    rows.append(("minutes in all", (time.monotonic() - began) / 60, None))
    if sent.faults:
        print("Seeds of what was answered with 500 or more:", sent.faults[:20])
    print("Seed of the slowest:", sent.slowest[1])
    return report(rows, f"Spoilt uploads, seed {wanted.seed}")


def send_corpus(stack: Stack) -> int:
    from conftest import make_cast
    from screening.tests.hostile import corpus
    from screening.tests.sending import Doors, faults, the_record

    files, found, began = corpus(), {}, time.monotonic()
    doors = Doors(make_cast(), stack.address)
    with watching(stack) as peaks, the_record(os.environ["DATABASE_OWNER_URL"]) as record:
        ways = list(product(files, (doors.by_portal, doors.by_rest)))
        for file, way in track(ways, "Sending", console=Console(stderr=True)):
            wait_for(record.is_settled)
            if wrong := faults(file, way, record):
                found[f"{file.name} ({way.__name__})"] = wrong
        alone = peaks.web
        failed = send_dear_at_once(make_uploader(stack.address))
    for name, wrong in found.items():
        print(name, wrong)
    rows: list[Row] = [
        ("files, each by portal and by REST", len(files), None),
        ("of them to be taken", sum(file.is_taken for file in files), None),
        ("answers, rows or stored bytes that are not as wanted", len(found), 0),
        ("web process at its largest, one by one, MB", alone, MOST_MEGABYTES),
        ("web process at its largest, the dear ones eight at once, MB", peaks.web, MOST_MEGABYTES),
        ("of them answered 500 or more", failed, 0),
        ("worker child at its largest, MB", peaks.worker, MOST_MEGABYTES),
        ("process that decoded apart at its largest, MB", peaks.apart, None),
        ("minutes in all", (time.monotonic() - began) / 60, None),
    ]
    return report(rows, "The hostile corpus")


def send_dear_at_once(uploader: Uploader) -> int:
    """Those that cost most, each from eight senders at the same moment. How many were answered 500 or more."""
    from screening.tests.hostile import dear

    with ThreadPoolExecutor(8) as pool:
        files = [make() if callable(make) else make for make, _ in dear().values()]
        answers = pool.map(lambda data: uploader.send(data, timeout=120), [data for data in files for _ in range(8)])
        return sum(answer.status_code >= 500 for answer in answers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--webp", action="store_true")
    parser.add_argument("--dicom", action="store_true")
    parser.add_argument("--corpus", action="store_true")
    wanted = parser.parse_args()
    os.environ |= {"API_REQUESTS_A_MINUTE": "0", "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver"}
    with running_stack(worker_processes=1 if wanted.corpus else 2) as stack:
        return send_corpus(stack) if wanted.corpus else fuzz(stack, wanted)


if __name__ == "__main__":
    sys.exit(main())
