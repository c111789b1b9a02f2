import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinclinic import env

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
HOSTS = st.sampled_from(["localhost", "127.0.0.1", "::1", "db.Example.org", "/run/postgres", "/run/A folder/ü"])


@given(user=WORDS, password=WORDS, host=HOSTS, port=st.integers(1, 65_535), name=WORDS)
def test_database_reads_what_postgres_url_wrote(user: str, password: str, host: str, port: int, name: str) -> None:
    entry = env.database(env.postgres_url(user=user, password=password, host=host, port=port, name=name))
    assert entry["USER"] == user
    assert entry["PASSWORD"] == password
    assert entry["HOST"] == host
    assert entry["PORT"] == str(port)
    assert entry["NAME"] == name


def test_database_reads_options_and_short_forms() -> None:
    entry = env.database("postgres://ada@db/clinic?sslmode=require")
    assert entry == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "clinic",
        "USER": "ada",
        "PASSWORD": "",
        "HOST": "db",
        "PORT": "",
        "OPTIONS": {"sslmode": "require"},
    }


def test_database_reads_a_socket_folder_in_place_of_the_host() -> None:
    assert env.database("postgresql://ada@%2FRun%2Fpg/clinic")["HOST"] == "/Run/pg"


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///clinic.db",
        "postgresql://ada:s/cret@db/clinic",
        "postgresql://ada:s#cret@db/clinic",
        "postgresql://ada:s3cret@db",
        "postgresql://ada:s3cret@db/",
        "postgresql://ada:s3cret@db:99999/clinic",
        "postgresql://ada:s3cret@[::1/clinic",
        "postgresql://ada:s3cret@db/clinic?sslmod=require",
    ],
)
def test_database_refuses_without_repeating_the_password(address: str) -> None:
    with pytest.raises(env.EnvironmentProblem) as refused:
        env.database(address, "DATABASE_OWNER_URL")
    assert "DATABASE_OWNER_URL" in str(refused.value)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("ON", True), ("yes", True), ("0", False), ("False", False)]
)
def test_flag_reads_yes_and_no(monkeypatch: pytest.MonkeyPatch, value: str, meaning: bool) -> None:
    monkeypatch.setenv("DEMO", value)
    assert env.flag("DEMO", not meaning) is meaning


def test_flag_refuses_a_word_that_is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "flase")
    with pytest.raises(env.EnvironmentProblem, match="DEBUG must be one of"):
        env.flag("DEBUG")


@pytest.mark.parametrize("value", ["ten", "1.5", "-1", "70000", "9" * 30, "0x10", "١"])
def test_integer_refuses_what_is_out_of_bounds(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PORT", value)
    with pytest.raises(env.EnvironmentProblem, match="PORT must be a whole number from 0 to 65535"):
        env.integer("PORT", 8000, maximum=65_535)


def test_empty_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("DEMO", "")
    assert env.integer("PORT", 8000) == 8000
    assert env.flag("DEMO", True) is True
    assert env.text("PORT") is None


def test_words_splits_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "clinic.example, ,127.0.0.1")
    assert env.words("ALLOWED_HOSTS") == ["clinic.example", "127.0.0.1"]


def test_choice_takes_the_first_or_what_is_named_and_refuses_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.choice("LOG_FORM", ("json", "lines")) == "json"
    monkeypatch.setenv("LOG_FORM", "lines")
    assert env.choice("LOG_FORM", ("json", "lines")) == "lines"
    monkeypatch.setenv("LOG_FORM", "xml")
    with pytest.raises(env.EnvironmentProblem, match="LOG_FORM must be json or lines"):
        env.choice("LOG_FORM", ("json", "lines"))


def test_secret_has_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_SECRET", raising=False)
    with pytest.raises(env.EnvironmentProblem, match="A_SECRET is not set"):
        env.secret("A_SECRET")


def test_secret_refuses_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    with pytest.raises(env.EnvironmentProblem, match="too short") as refused:
        env.secret("A_SECRET", at_least=32)
    assert "hunter2" not in str(refused.value)


def test_secret_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" kept as it is \n")
    monkeypatch.delenv("A_SECRET", raising=False)
    monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "key"))
    assert env.secret("A_SECRET") == " kept as it is "


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("A_SECRET", raising=False)
    monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "gone"))
    with pytest.raises(env.EnvironmentProblem, match="A_SECRET_FILE points at a file that cannot be read"):
        env.secret("A_SECRET")


def test_a_value_and_a_file_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_SECRET", "one")
    monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "two"))
    with pytest.raises(env.EnvironmentProblem, match="keep one of them"):
        env.text("A_SECRET")


@pytest.mark.parametrize("value", ["clinic.example", "https://", "ftp://clinic.example", "https://a b", "https://h:x/"])
def test_url_refuses_what_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SITE_URL", value)
    with pytest.raises(env.EnvironmentProblem, match="SITE_URL"):
        env.url("SITE_URL", schemes=("http", "https"))


def test_url_takes_a_redis_and_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("redis://:pass@127.0.0.1:6379/0", "unix:///run/redis.sock"):
        monkeypatch.setenv("REDIS_URL", value)
        assert env.url("REDIS_URL", schemes=env.REDIS_SCHEMES) == value


def test_dotenv_reads_quotes_comments_and_exports() -> None:
    content = "\n# a comment\nA=1\nexport B = two words # why\nC='it''s'\nD=\"x # y\" # z\nE=a#b\nF=\n"
    with pytest.raises(env.EnvironmentProblem, match="Line 5"):
        env.parse_dotenv(content)
    assert env.parse_dotenv(content.replace("'it''s'", "'its'")) == {
        "A": "1",
        "B": "two words",
        "C": "its",
        "D": "x # y",
        "E": "a#b",
        "F": "",
    }


def test_dotenv_refuses_a_line_that_is_no_assignment() -> None:
    with pytest.raises(env.EnvironmentProblem, match=r"Line 2 of \.env"):
        env.parse_dotenv("A=1\nsecret stuff\n")


def test_dotenv_gives_way_to_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FIRST=file\nSECOND=file\nTHIRD_FILE=/nowhere\n")
    monkeypatch.setenv("FIRST", "environment")
    monkeypatch.setenv("SECOND", "to be restored")
    monkeypatch.delenv("SECOND")
    monkeypatch.setenv("THIRD", "environment")
    env.load_dotenv(tmp_path / ".env")
    assert [env.text(name) for name in ("FIRST", "SECOND", "THIRD")] == ["environment", "file", "environment"]


def test_mail_server_is_given_what_its_address_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_URL", "smtps://clinic%40example.org:s%2Fcret@mail.example.org")
    told = runpy.run_path(str(env.ROOT / "skinclinic" / "settings.py"))
    assert (told["EMAIL_HOST_USER"], told["EMAIL_HOST_PASSWORD"]) == ("clinic@example.org", "s/cret")
