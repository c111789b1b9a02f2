"""The servers started by somebody who is not root, also when the tests are run by root."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from skinclinic.embedded import place, postgres
from skinclinic.env import ROOT

SCRIPT = textwrap.dedent(
    """
    import os, sys
    from contextlib import closing
    from importlib import metadata
    from pathlib import Path
    import encodings.idna, psycopg2, redis
    from skinclinic.embedded import place
    from skinclinic.embedded.postgres import EmbeddedPostgres
    from skinclinic.embedded.valkey import EmbeddedValkey

    metadata.version("redis")  # which loads a parser the first time
    if os.geteuid() == 0:
        # Only now, with everything loaded: root's Python may lie where nobody else can reach it.
        user = place.service_user()
        os.setgroups([])
        os.setgid(user.gid)
        os.setuid(user.uid)
    assert place.service_user() is None
    servers = place.servers_folder(Path(sys.argv[1]) / ".local")
    assert not servers.is_symlink() and servers.stat().st_mode & 0o777 == 0o700

    def count_visits(url):
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS visit (id serial); INSERT INTO visit DEFAULT VALUES")
            cursor.execute("SELECT count(*) FROM visit")
            return cursor.fetchone()[0]

    for _ in range(2):
        with EmbeddedPostgres(servers / "postgres", durable=False) as postgres:
            print("visits", count_visits(postgres.owner_url()))
        with EmbeddedValkey(servers / "valkey") as valkey, redis.Redis.from_url(valkey.url) as client:
            print("queued", client.rpush("queue", "task"))
    """
)


def test_an_ordinary_user_starts_both_and_finds_her_data_again(folder: Path) -> None:
    user = place.service_user()
    if not place.reachable(postgres.program_source(), user):
        pytest.skip("no packages that another user could reach")
    if user is not None:
        place.hand_over(folder, user)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["visits 1", "queued 1", "visits 2", "queued 2"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a folder elsewhere")
def test_root_in_a_closed_folder_keeps_the_data_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    with place.temporary_folder() as elsewhere:
        monkeypatch.setattr(place, "SYSTEM_FOLDER", elsewhere / "skinclinic")
        first = place.servers_folder(tmp_path / "clone" / ".local")
        assert first.is_relative_to(elsewhere.resolve())
        assert place.reachable(first, place.service_user())
        assert place.servers_folder(tmp_path / "clone" / ".local") == first
        # Another clone is another clinic, and a clone whose data went away says so instead of beginning afresh.
        assert place.servers_folder(tmp_path / "second" / ".local") != first
        first.rmdir()
        with pytest.raises(place.EmbeddedProblem, match="which is gone"):
            place.servers_folder(tmp_path / "clone" / ".local")
