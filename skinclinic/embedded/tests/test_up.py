"""The decisions of `bin/up`; that it works as a whole is tried by starting it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from skinclinic.embedded import __main__, place, ports, screen, up
from skinclinic.embedded.problems import DiskFull, EmbeddedProblem
from skinclinic.embedded.up import Wishes
from skinclinic.env import ROOT


@pytest.fixture(autouse=True)
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.local` of its own, no servers in the environment."""
    monkeypatch.setattr(up, "LOCAL", tmp_path / ".local")
    monkeypatch.setattr(place, "SYSTEM_FOLDER", tmp_path / "system")
    for name in ("DATABASE_URL", "REDIS_URL", "PORT", "SECRET_KEY", "DATABASE_OWNER_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".local").mkdir()
    return tmp_path / ".local"


def began_as(begun: str) -> None:
    (up.beside_the_data() / "state.json").write_text(json.dumps({"begun": begun}))


def test_a_first_start_makes_a_demo_unless_asked_for_an_empty_clinic() -> None:
    assert up.what_begins(Wishes()) == "demo"
    assert up.what_begins(Wishes(empty=True)) == "empty"


def test_a_database_of_their_own_gets_a_demo_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@db/clinic")
    assert up.what_begins(Wishes()) == "theirs"
    assert up.what_begins(Wishes(demo=True)) == "demo"


def test_what_began_stays_what_it_is() -> None:
    began_as("empty")
    assert up.what_begins(Wishes()) == "empty"
    with pytest.raises(EmbeddedProblem, match="a demo is never put into it"):
        up.what_begins(Wishes(demo=True))
    began_as("demo")
    assert up.what_begins(Wishes()) == "demo"
    with pytest.raises(EmbeddedProblem, match="to begin an empty one, remove"):
        up.what_begins(Wishes(empty=True))


def test_another_database_is_another_clinic(monkeypatch: pytest.MonkeyPatch) -> None:
    began_as("demo")
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:one@db/clinic")
    assert up.what_begins(Wishes()) == "theirs"
    began_as("theirs")
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:changed@db/clinic")
    with pytest.raises(EmbeddedProblem, match="a demo is never put into it"):
        up.what_begins(Wishes(demo=True))
    monkeypatch.delenv("DATABASE_URL")
    assert up.what_begins(Wishes()) == "demo"


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "sqlite:///clinic"), ("REDIS_URL", "http://queue"), ("DATABASE_OWNER_URL", "postgresql://x")],
)
def test_an_odd_address_is_refused_before_anything_starts(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert __main__.main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith(name)
    assert len(said.splitlines()) == 1


def test_the_usual_port_gives_way_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ports.first_free(25_000) as holder:
        holder.listen()
        taken = holder.getsockname()[1]
        monkeypatch.setattr(up, "USUAL_PORT", taken)
        with up.chosen_port(None) as listener:
            port = listener.getsockname()[1]
    assert port > taken
    assert f"Port {taken} is taken, so the portal is on port {port}." in capsys.readouterr().out


def test_a_port_that_was_asked_for_is_refused_when_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with ports.first_free(25_100) as holder:
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(EmbeddedProblem, match=f"Port {taken} is taken"), up.chosen_port(taken):
            pass
        monkeypatch.setenv("PORT", str(taken))
        with pytest.raises(EmbeddedProblem, match=f"Port {taken} is taken"), up.chosen_port(None):
            pass


def test_the_environment_of_the_programs_is_complete_and_theirs_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    first = up.base_environment(8123, demo=True)
    assert first["SITE_URL"] == "http://127.0.0.1:8123"
    assert first["DEMO"] == "1"
    assert len(first["SECRET_KEY"]) > 50
    assert up.base_environment(8123, demo=False)["SECRET_KEY"] == first["SECRET_KEY"]
    monkeypatch.setenv("SITE_URL", "https://clinic.example")
    assert up.base_environment(8123, demo=True)["SITE_URL"] == "https://clinic.example"


def test_a_full_disk_is_told_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up.shutil, "disk_usage", lambda _: up.shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    with pytest.raises(DiskFull, match="free some space"):
        up.refuse_full_disk()


def test_a_second_one_in_the_same_folder_is_refused(local: Path) -> None:
    first = place.FolderLock("The clinic", local)
    first.acquire()
    with pytest.raises(EmbeddedProblem, match="The clinic is already running"):
        up.up(Wishes(), Console())
    first.release()


def test_managing_needs_a_running_clinic() -> None:
    with pytest.raises(EmbeddedProblem, match="start it with bin/up"):
        up.manage_running(["shell"])


def test_key_of_back_ups_comes_with_the_command(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"BACKUP_KEY": "as it started", "SECRET_KEY": "kept"}
    (local / "running.json").write_text(json.dumps({"pid": 1, "environment": given}))
    ran = []
    monkeypatch.setattr(up.os, "execve", lambda program, arguments, environment: ran.append(environment))
    monkeypatch.setattr(up.os, "chdir", lambda _: None)
    for name in ("BACKUP_KEY", "BACKUP_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    up.manage_running(["backup", "file"])
    monkeypatch.setenv("BACKUP_KEY_FILE", "/run/key")
    up.manage_running(["backup", "file"])
    assert ran == [given, {"BACKUP_KEY_FILE": "/run/key", "SECRET_KEY": "kept"}]


def test_a_restore_that_is_stopped_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(up.subprocess, "run", stopped)
    with pytest.raises(EmbeddedProblem, match="give --restore again"):
        up.restore(Path("clinic.backup"), None, {})


def test_addresses_are_shown_without_passwords() -> None:
    assert up.where("postgresql://ada:secret@db.example:5432/clinic?sslmode=require") == "db.example:5432/clinic"
    assert up.where("redis://127.0.0.1:6379/0") == "127.0.0.1:6379/0"


def test_the_screen_says_what_matters(tmp_path: Path) -> None:
    console = Console(record=True, width=100)
    running = screen.Running(
        url="http://127.0.0.1:8000",
        parts=[("database", "Postgres [here]"), ("queue", "Valkey")],
        logs=tmp_path / "logs",
        mail=tmp_path / "mail",
        demo=True,
        sign_ins=[{"email": "rita@demo.example", "password": "[bold]x[/bold]-9", "roles": ["reviewer", "manager"]}],
    )
    screen.show(running, console)
    said = console.export_text()
    for part in (
        "http://127.0.0.1:8000",
        "Postgres [here]",
        "rita@demo.example",
        "[bold]x[/bold]-9",
        "reviewer, manager",
        "Ctrl-C ends everything",
        "not a medical device",
        "invented patients",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "0"], "a port is a number from 1 to 65535"),
        (["--port", "http"], "a port is a number from 1 to 65535"),
        (["--photos", "/no/such/folder"], "there is no folder /no/such/folder"),
        (["--empty", "--demo"], "go with neither --demo nor --photos"),
        (["--restore", "manage.py", "--demo"], "go with neither --demo nor --photos"),
        (["--restore", "/no/such/file"], "there is no file /no/such/file"),
        (["--erasures", "manage.py"], "--erasures goes with --restore"),
        (["--emtpy"], "unrecognized arguments"),
    ],
)
def test_odd_arguments_are_refused(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        __main__.main(arguments)
    assert refused.value.code == 2
    assert told in capsys.readouterr().err


def test_a_problem_is_one_sentence_without_a_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "eighty")
    assert __main__.main([]) == 1
    assert capsys.readouterr().err == "PORT must be a whole number from 0 to 65535.\n"


def test_help_names_the_options() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "skinclinic.embedded", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for option in ("--empty", "--photos", "--port", "--demo", "bin/up manage"):
        assert option in done.stdout
