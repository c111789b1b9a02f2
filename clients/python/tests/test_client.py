"""The client against a real clinic on the wire, and the command as it is run."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console
from skinclinic_client import Clinic, Refused, Unreachable
from skinclinic_client.clinic import OPEN
from skinclinic_client.share import UNREADABLE, Left, Share, photographs_in
from skinclinic_client.upload import Upload

from conftest import Cast, make_chart
from patients.models import Patient, Visit
from screening.models import Screening
from screening.services.reviews import Opinion
from screening.status import ReadingStatus
from screening.tests.conftest import finish, give, sign
from skinclinic.api.models import Client
from skinclinic.api.services import rotate_secret
from skinclinic.api.tests.serving import disconnected, serving

SCOPES = ["patients:read", "patients:write", "screenings:read", "screenings:write"]
NUMBER = {"system": "urn:his", "value": "4711"}


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it would have waited."""
    taken: list[float] = []
    monkeypatch.setattr("skinclinic_client.clinic.time.sleep", taken.append)
    return taken


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "skinclinic_client.cli", *map(str, words)]


def run(named: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), env=named, capture_output=True, text=True, timeout=60, check=False)


def lay(folder: Path, where: str, photograph: bytes) -> Path:
    path = folder / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photograph)
    return path


def screenings(cast: Cast) -> list[Screening]:
    with cast.in_north():
        return list(Screening.objects.order_by("created_at"))


def wait_for(holds: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def test_it_works(real_cast, clinic, chart, photograph_bytes):
    """As the README shows it."""
    patient = clinic.find_patient("4711")
    lesion = next(clinic.list("lesions/", patient=patient["id"]))
    visit = clinic.create("visits/", {"patient": patient["id"], "question": "Changed since spring?"})
    told: list[int] = []
    sent = clinic.upload(photograph_bytes, visit=visit["id"], lesion=lesion["id"], progress=told.append)
    assert (sent["reading_status"], told[-1]) == ("queued", len(photograph_bytes))
    assert clinic.wait(sent["id"], seconds=0.1)["reading_status"] == "queued"
    finish(real_cast, screenings(real_cast)[0], refer=True, band="high")
    assert clinic.wait(sent["id"])["reading"]["band"] == "high"
    assert [event["type"] for event in clinic.changes()][-1] == "screening.predicted"
    assert clinic.change(f"patients/{patient['id']}/", {"skin_type": 3})["skin_type"] == 3


def test_it_waits_for_every_state_that_is_not_the_last():
    assert set(ReadingStatus) >= OPEN
    assert set(ReadingStatus) - OPEN == {"predicted", "unscorable", "failed", "not_wanted"}


def test_lists_go_on_over_pages(clinic, chart):
    for _visit in range(3):
        clinic.create("visits/", {"patient": str(chart.patient.pk)})
    assert len({each["id"] for each in clinic.list("visits/", page_size=2)}) == 4
    with pytest.raises(Refused, match="another server"):
        clinic.get("https://elsewhere.example/api/v1/visits/")


def test_what_is_refused_says_why(clinic, chart):
    with pytest.raises(Refused, match=r"identity\.birth_date") as refused:
        clinic.create("patients/", {"identity": {"family_name": "A", "given_name": "B", "birth_date": "soon"}})
    assert (refused.value.status, refused.value.fields[0]["field"]) == (400, "identity.birth_date")
    with pytest.raises(Refused) as refused:
        clinic.get(f"screenings/{uuid4()}/")
    assert refused.value.status == 404


def test_a_token_that_ended_is_renewed(clinic, chart, pair):
    clinic.get("patients/")
    clinic._token = "ended"
    assert clinic.get("patients/")["results"]
    rotate_secret(client=Client.objects.get(client_id=pair[0]))
    clinic._token, clinic._until = "", 0.0
    with pytest.raises(Refused, match="does not know this system"):
        clinic.get("patients/")


def test_a_create_whose_answer_was_lost_is_done_once(real_cast, chart, pair, naps):
    lost: list[str] = []

    def losing(environ, start):
        """Does what is asked, and the proxy before it forgets the first answer to a create."""
        if environ["PATH_INFO"] != "/api/v1/visits/" or lost:
            return disconnected(environ, start)
        list(disconnected(environ, lambda status, *_headers: lost.append(status)))
        start("502 Bad Gateway", [("Content-Length", "0"), ("Retry-After", "7")])
        return [b""]

    with serving(losing) as address:
        Clinic(address, *pair).create("visits/", {"patient": str(chart.patient.pk)})
    assert (lost, naps) == (["201 Created"], [7.0])
    with real_cast.in_north():
        assert Visit.objects.count() == 2


def test_a_clinic_that_is_away_is_tried_and_told(pair, naps):
    with pytest.raises(Unreachable, match="no connection"):
        Clinic("http://127.0.0.1:9", *pair).get("patients/")
    assert len(naps) == 5
    assert naps == sorted(naps)
    with pytest.raises(Unreachable):
        Clinic("http://127.0.0.1:9", *pair).do("screenings/x/withdraw/")
    assert len(naps) == 5, "what is no create is sent once"


def test_a_share_is_sent_once(real_cast, named, chart, tmp_path, random_photograph):
    for where in ("4711/1/a.jpg", "4711/1/deep.JPG", "4712/1/a.jpg", "4711/2/a.png", "a.jpg"):
        lay(tmp_path, where, random_photograph())
    for passed_over in ("4711/1/.hidden.jpg", "4711/1/Thumbs.db", ".trash/1/a.jpg"):
        lay(tmp_path, passed_over, b"x")
    lay(tmp_path, "4711/1/broken.jpg", b"no photograph")
    ran = run(named, "upload", tmp_path)
    assert ran.returncode == 1, ran.stderr
    told = ran.stderr
    assert "2 sent, 4 left." in told
    assert "4712/1/a.jpg: Nobody in the clinic has the number 4712." in told
    assert "4711/2/a.png: The patient with this number has no lesion 2 on the body map." in told
    assert "a.jpg: It lies in no folder" in told
    assert "4711/1/broken.jpg: " in told
    made = screenings(real_cast)
    assert {each.visit_id for each in made} == {chart.visit.pk}, "the visit that is open already"
    shutil.rmtree(tmp_path / "4712")
    (tmp_path / "a.jpg").unlink()
    ran = run(named, "upload", tmp_path)
    assert "0 sent, 2 were there already, 2 left." in ran.stderr
    assert len(screenings(real_cast)) == 2
    with real_cast.in_north():
        assert Patient.objects.count() == 1


def test_what_is_signed_gets_no_more_photographs(real_cast, clinic, chart, tmp_path, random_photograph):
    share = Share(clinic)
    lay(tmp_path, "4711/1/a.jpg", random_photograph())
    (first,) = photographs_in(tmp_path)
    assert share.send(first)
    (screening,) = screenings(real_cast)
    finish(real_cast, screening, refer=True, band="high")
    give(real_cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sign(real_cast, chart.visit)
    lay(tmp_path, "4711/1/b.jpg", random_photograph())
    lay(tmp_path, "4711/1/c.jpg", random_photograph())
    assert [share.send(each) for each in photographs_in(tmp_path)] == [False, True, True]
    first_visit, *later = [each.visit_id for each in screenings(real_cast)]
    assert later[0] == later[1] != first_visit == chart.visit.pk


def test_a_patient_who_is_registered_later_is_found(real_cast, clinic, chart, tmp_path, random_photograph):
    share = Share(clinic, system="urn:his")
    lay(tmp_path, "48/1/a.jpg", random_photograph())
    (found,) = photographs_in(tmp_path)
    with pytest.raises(Left, match="Nobody"):
        share.send(found)
    other = make_chart(real_cast.alice, given_name="Emma")
    clinic.create(f"patients/{other.patient.pk}/identifiers/", {"system": "urn:lab", "value": "48"})
    with pytest.raises(Left, match="Nobody"):
        share.send(found)
    clinic.create(f"patients/{other.patient.pk}/identifiers/", {"system": "urn:his", "value": "48"})
    assert share.send(found)


def test_what_is_merged_meanwhile_goes_on_in_the_remaining_record(
    real_cast, clinic, chart, tmp_path, random_photograph
):
    share, other = Share(clinic), make_chart(real_cast.alice, given_name="Emma")
    lay(tmp_path, "4711/1/a.jpg", random_photograph())
    (first,) = photographs_in(tmp_path)
    assert share.send(first)
    clinic.do(f"patients/{chart.patient.pk}/merge/", {"into": str(other.patient.pk)})
    second = lay(tmp_path, "4711/1/b.jpg", random_photograph())
    assert share.send(next(each for each in photographs_in(tmp_path) if each.path == second))
    assert [each.patient_id for each in screenings(real_cast)] == [chart.patient.pk, other.patient.pk]


def test_a_watched_share_sends_what_comes_when_it_is_whole(real_cast, named, chart, tmp_path, random_photograph):
    photograph = random_photograph()
    watch = command("upload", tmp_path, "--watch", "--every", "0.5")
    with subprocess.Popen(watch, env=named, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("Watching")
        path = lay(tmp_path, "4711/1/slow.jpg", b"")
        for part in range(4):  # a camera's program that writes it bit by bit
            with path.open("ab") as growing:
                growing.write(photograph[len(photograph) * part // 4 : len(photograph) * (part + 1) // 4])
            time.sleep(0.2)
        wait_for(lambda: screenings(real_cast), "sent")
        time.sleep(1.2)
        process.terminate()  # as services are; what a shell starts in the background hears no Ctrl-C
        told = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert told.endswith("1 sent.\nStopped. What was sent is kept; start again to go on.\n")
    assert len(screenings(real_cast)) == 1


def test_a_share_that_is_away_is_told_once_and_waited_for(clinic, chart, tmp_path, random_photograph, monkeypatch):
    path, away, looks = lay(tmp_path, "4711/1/a.jpg", random_photograph()), OSError(112, "Host is down"), []

    def look(folder):
        """Twice away; twice there, so that the file looks the same; then somebody stops it."""
        looks.append(folder)
        if len(looks) < 3:
            raise away
        if len(looks) > 4:
            raise KeyboardInterrupt
        return photographs_in(folder)

    monkeypatch.setattr("skinclinic_client.upload.photographs_in", look)
    console = Console(file=StringIO(), soft_wrap=True)
    upload = Upload(clinic, tmp_path, console)
    with pytest.raises(KeyboardInterrupt):
        upload.watch(every=0.01)
    assert console.file.getvalue().count("cannot be read: Host is down. Waiting.") == 1
    assert (upload.sent, upload.left, path.exists()) == (1, {}, True)


def test_a_file_that_cannot_be_looked_at_holds_up_no_other(tmp_path, photograph_bytes, monkeypatch):
    closed, open_ = lay(tmp_path, "4711/1/a.jpg", photograph_bytes), lay(tmp_path, "4711/1/b.jpg", photograph_bytes)
    real = Path.stat

    def stat(path, **options):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert [(each.path, each.size) for each in photographs_in(tmp_path)] == [
        (closed, UNREADABLE),
        (open_, len(photograph_bytes)),
    ]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"SKINCLINIC_SECRET": "wrong"}, "The clinic does not know this system"),
        ({"SKINCLINIC_SECRET": "", "SKINCLINIC_SECRET_FILE": "/nowhere"}, "SKINCLINIC_SECRET_FILE cannot be read"),
        ({"SKINCLINIC_URL": None}, "SKINCLINIC_URL is not set"),
        ({"SKINCLINIC_URL": "localhost:8000"}, "localhost:8000 is no address"),
    ],
)
def test_a_command_that_cannot_work_says_what_is_missing(named, tmp_path, photograph_bytes, changed, sentence):
    lay(tmp_path, "4711/1/a.jpg", photograph_bytes)
    odd = {name: value for name, value in (named | changed).items() if value is not None}
    ran = run(odd, "upload", tmp_path)
    assert (ran.returncode, sentence in ran.stderr) == (2, True), ran.stderr
    assert "Traceback" not in ran.stderr


def test_check_does_not_wait_for_a_clinic_that_is_away(named):
    began = time.monotonic()
    ran = run(named | {"SKINCLINIC_URL": "http://127.0.0.1:9"}, "check")
    assert (ran.returncode, "no connection" in ran.stderr) == (3, True), ran.stderr
    assert time.monotonic() - began < 10, "six tries take half a minute"


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        ("404 Not Found", b"<html>", r"no skinclinic \(404\)"),
        ("200 OK", b"{}", r"no skinclinic \(200\)"),
        ("200 OK", b"<html>", r"no skinclinic \(200\)"),
        ("301 Moved Permanently", b"", "leads on to https://clinic.example/"),
    ],
)
def test_what_is_no_clinic_is_told_at_once(pair, naps, status, body, sentence):
    def elsewhere(environ, start):
        start(status, [("Content-Length", str(len(body))), ("Location", "https://clinic.example/")])
        return [body]

    with serving(elsewhere) as address, pytest.raises(Unreachable, match=sentence):
        Clinic(address, *pair).get("patients/")
    assert naps == []


def test_check_says_that_all_is_well(named):
    ran = run(named, "check")
    assert (ran.returncode, ran.stderr) == (0, f"{named['SKINCLINIC_URL']} answers, and knows this system.\n")
