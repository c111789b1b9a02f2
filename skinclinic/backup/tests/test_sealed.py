"""The file, attacked by whoever can write where it is kept."""

import base64
import secrets
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinclinic.backup import sealed
from skinclinic.backup.keys import KeyUnfit, backup_key, new_key
from skinclinic.backup.sealed import (
    HEAD,
    MAGIC,
    TAG,
    BackupUnreadable,
    Damaged,
    NoBackup,
    OtherKey,
    SealedFile,
    seal_parts,
)

KEY, NOTES, CHUNK = secrets.token_bytes(32), b'{"patients": 3}', 64
CONTENT = secrets.token_bytes(5 * CHUNK + 7)


@pytest.fixture(autouse=True, scope="module")
def small_chunks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed, "CHUNK", CHUNK)
        yield


def sealed_bytes(content: bytes = CONTENT) -> bytes:
    target = BytesIO()
    source = BytesIO(content)
    parts = iter(lambda: source.read(CHUNK), b"")
    written = seal_parts(parts=parts, notes=NOTES, key=KEY, target=target)
    assert written == len(target.getvalue())
    return target.getvalue()


def opened(written: bytes, key: bytes = KEY) -> bytes:
    file = SealedFile(BytesIO(written), key)
    assert file.notes == NOTES
    return b"".join(file.parts())


@pytest.fixture(scope="module")
def written(small_chunks) -> bytes:
    return sealed_bytes()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_it_works(size):
    content = secrets.token_bytes(size)
    assert opened(sealed_bytes(content)) == content


def test_file_can_be_read_twice_and_says_how_far_it_is(written):
    file, seen = SealedFile(BytesIO(written), KEY), []
    assert b"".join(file.parts(seen.append)) == b"".join(file.parts()) == CONTENT
    assert file.begins + sum(seen) == file.size == len(written)


def test_nothing_of_the_content_stands_in_the_file():
    said = b"Winterbottom, Erna" * 20
    assert b"Winterbottom" not in sealed_bytes(said)
    assert sealed_bytes(said)[HEAD:] != sealed_bytes(said)[HEAD:], "the same content twice looks alike"


@given(st.data())
def test_changed_byte_anywhere_is_noticed(written, data):
    at = data.draw(st.integers(0, len(written) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != written[at]))
    with pytest.raises(BackupUnreadable):
        opened(written[:at] + bytes([other]) + written[at + 1 :])


@pytest.mark.parametrize(
    ("at", "refusal"),
    [
        (0, NoBackup),
        (len(MAGIC) - 1, NoBackup),
        (len(MAGIC), OtherKey),
        (HEAD - 5, OtherKey),
        (HEAD - 1, Damaged),
        (HEAD, Damaged),
        (-1, Damaged),
        (-CHUNK, Damaged),
    ],
)
def test_changed_byte_of_each_region_has_its_sentence(written, at, refusal):
    changed = bytearray(written)
    changed[at] ^= 1
    with pytest.raises(refusal):
        opened(bytes(changed))


@given(st.data())
def test_file_cut_short_anywhere_is_noticed(written, data):
    with pytest.raises(BackupUnreadable):
        opened(written[: data.draw(st.integers(0, len(written) - 1))])


def test_file_cut_short_between_two_chunks_is_noticed(written):
    begins = HEAD + len(NOTES) + TAG
    for border in range(begins, len(written), CHUNK + TAG):
        with pytest.raises(Damaged, match="changed or cut short"):
            opened(written[:border])


@given(st.binary(min_size=1, max_size=3 * CHUNK))
def test_appended_bytes_are_noticed(written, more):
    with pytest.raises(Damaged):
        opened(written + more)


def chunks_of(written: bytes) -> tuple[bytes, list[bytes]]:
    begins = HEAD + len(NOTES) + TAG
    return written[:begins], [written[at : at + CHUNK + TAG] for at in range(begins, len(written), CHUNK + TAG)]


def test_chunks_in_another_order_are_noticed(written):
    front, (first, second, *rest) = chunks_of(written)
    for order in ([second, first, *rest], [first, *rest], [first, first, second, *rest], [*rest, first, second]):
        with pytest.raises(Damaged):
            opened(front + b"".join(order))


def test_chunk_of_another_back_up_with_the_same_key_is_noticed(written):
    front, (_first, *rest) = chunks_of(written)
    _front, (other, *_rest) = chunks_of(sealed_bytes())
    with pytest.raises(Damaged):
        opened(front + other + b"".join(rest))


def test_other_key_is_told_from_a_damaged_file(written):
    with pytest.raises(OtherKey, match="another key than BACKUP_KEY"):
        opened(written, secrets.token_bytes(32))


@pytest.mark.parametrize("content", [b"", b"PGDMP", MAGIC, secrets.token_bytes(5000)])
def test_other_files_are_no_back_ups(content):
    with pytest.raises(NoBackup):
        SealedFile(BytesIO(content), KEY)


def test_source_that_fails_leaves_a_file_that_does_not_open():
    def parts():
        yield CONTENT[:CHUNK]
        yield CONTENT[:CHUNK]
        raise OSError

    target = BytesIO()
    with pytest.raises(OSError):  # noqa: PT011 -- its own
        seal_parts(parts=parts(), notes=NOTES, key=KEY, target=target)
    with pytest.raises(Damaged):
        opened(target.getvalue())


def test_new_key_is_taken_from_variable_and_file(monkeypatch, tmp_path):
    key = new_key()
    assert key != new_key()
    monkeypatch.setenv("BACKUP_KEY", key)
    read = backup_key()
    (tmp_path / "key").write_text(f"{base64.urlsafe_b64encode(read).decode()}\n")
    monkeypatch.delenv("BACKUP_KEY")
    monkeypatch.setenv("BACKUP_KEY_FILE", str(tmp_path / "key"))
    assert backup_key() == read


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "Back-ups want a key"),
        ("   ", "Back-ups want a key"),
        ("correct horse battery staple", "is not base64"),
        ("ümlaut", "is not base64"),
        (base64.b64encode(bytes(16)).decode(), "holds 16 bytes"),
        (base64.b64encode(bytes(32)).decode(), "is not random"),
        (base64.b64encode(bytes([255, 254] * 16)).decode(), "is not random"),
        (base64.b64encode(b"a passphrase of 32 characters...").decode(), "is not random"),
    ],
)
def test_unfit_key_is_refused_without_repeating_it(monkeypatch, written, said):
    monkeypatch.setenv("BACKUP_KEY", written)
    with pytest.raises(KeyUnfit, match=said) as refused:
        backup_key()
    assert "backup --new-key" in str(refused.value)
    assert not written.strip() or written not in str(refused.value)
