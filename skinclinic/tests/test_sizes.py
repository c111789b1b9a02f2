"""A module that has grown too long is read by nobody, a test no more than what it tests: it is cut along its nouns."""

from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
OURS = ("skinclinic", "patients", "screening", "ml", "bench", "e2e")
MOST, MOST_OF_VIEWS = 500, 250


def test_no_module_is_too_long():
    found = [path.relative_to(ROOT) for folder in OURS for path in (ROOT / folder).rglob("*.py")]
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in found}
    views = {path for path in found if "views" in path.parts or path.name == "views.py"}
    assert len(views) > 20
    too_long = {
        str(path): length
        for path, length in lengths.items()
        if length > (MOST_OF_VIEWS if path in views else MOST) and "migrations" not in path.parts
    }
    assert not too_long
