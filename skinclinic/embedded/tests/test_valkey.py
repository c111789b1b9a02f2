import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from skinclinic.embedded import place, ports, processes, valkey
from skinclinic.embedded.problems import EmbeddedProblem, FolderTaken, NoProgram
from skinclinic.embedded.valkey import EmbeddedValkey


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(folder / "valkey") as running:
        yield running


def client(server: EmbeddedValkey) -> "redis.Redis[bytes]":
    return redis.Redis.from_url(server.url)


def test_it_works(server: EmbeddedValkey) -> None:
    with client(server) as connection:
        connection.set("queue", "waiting")
        assert connection.get("queue") == b"waiting"
        assert connection.config_get("bind") == {"bind": "127.0.0.1"}
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_it_asks_for_the_password(server: EmbeddedValkey) -> None:
    with (
        redis.Redis(port=server.port or 0, retry=Retry(NoBackoff(), 0)) as connection,
        pytest.raises(redis.AuthenticationError),
    ):
        connection.get("queue")
    assert server.pid is not None
    command_line = Path(f"/proc/{server.pid}/cmdline")
    if command_line.exists():
        assert server.url.partition("@")[0].rpartition(":")[2] not in command_line.read_text()


def test_what_was_queued_outlives_a_kill_at_the_same_address(server: EmbeddedValkey) -> None:
    before = server.url
    with client(server) as connection:
        connection.rpush("celery", *[f"task {number}" for number in range(100)])
    server.kill()
    assert not server.running
    server.start()
    assert server.url == before
    with client(server) as connection:
        assert connection.llen("celery") == 100


def test_a_taken_port_gives_the_next_free_one(folder: Path) -> None:
    with ports.first_free(23_456) as holder:
        holder.listen()
        taken = holder.getsockname()[1]
        with EmbeddedValkey(folder / "valkey", first_port=taken) as server:
            assert server.port is not None
            assert server.port > taken
            assert valkey.answers(server.url)


def test_a_port_taken_at_the_last_moment_is_no_obstacle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedValkey(folder / "valkey", durable=False)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        free = server._choose_port
        choices = iter([taken])
        monkeypatch.setattr(server, "_choose_port", lambda: next(choices, None) or free())
        with server:
            assert server.port != taken
            assert valkey.answers(server.url)


def test_a_second_server_on_the_same_folder_is_refused(server: EmbeddedValkey) -> None:
    with pytest.raises(FolderTaken, match="end that one first"):
        EmbeddedValkey(server.folder).start()
    assert valkey.answers(server.url)


def test_an_orphan_is_ended_and_its_data_are_kept(folder: Path) -> None:
    first = EmbeddedValkey(folder / "valkey")
    first.start()
    orphan = first.pid
    assert orphan is not None
    with client(first) as connection:
        connection.set("kept", "yes")
    # As if the process that had started it were gone: its lock is.
    first._lock.release()
    with EmbeddedValkey(folder / "valkey") as second:
        assert first._process is not None
        assert first._process.wait(10) == 0
        with client(second) as connection:
            assert connection.get("kept") == b"yes"


def test_stop_leaves_no_process(folder: Path) -> None:
    server = EmbeddedValkey(folder / "valkey", durable=False)
    server.start()
    pid = server.pid
    assert pid is not None
    assert processes.runs_with(pid, str(server.folder))
    server.stop()
    assert not processes.runs_with(pid, str(server.folder))


def test_a_server_that_dies_can_be_started_again(server: EmbeddedValkey) -> None:
    assert server.pid is not None
    os.kill(server.pid, 9)
    while server.running:
        time.sleep(0.01)
    server.start()
    assert valkey.answers(server.url)


def test_a_platform_without_a_build_is_told_of_redis_url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey.util, "find_spec", lambda _: None)
    with pytest.raises(NoProgram, match="set DATABASE_URL and REDIS_URL"):
        EmbeddedValkey(folder / "valkey").start()


def test_an_address_is_known_only_once_it_runs(folder: Path) -> None:
    with pytest.raises(EmbeddedProblem, match="start it first"):
        _ = EmbeddedValkey(folder / "valkey").url


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")
def test_root_runs_it_as_nobody(server: EmbeddedValkey) -> None:
    user = place.service_user()
    assert user is not None
    assert Path(f"/proc/{server.pid}").stat().st_uid == user.uid
