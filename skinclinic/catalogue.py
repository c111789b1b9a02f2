"""The catalogues of the portal's languages: found in the sources, kept in `locale`, compiled. No GNU gettext is needed.

For whoever changes a sentence (`bin/messages`) and for the tests; the portal itself reads the compiled files only.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "locale"
PACKAGES = ("patients", "screening", "skinclinic")
# What operators and programs are told stays in English.
LEFT_OUT = ("tests", "migrations", "management", "embedded", "v1")
# Mails are plain text.
TEMPLATES = (".html", ".txt")
KEYWORDS: dict[str, tuple | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
# Dates in the files would make each of two branches differ from the other.
UNDATED = datetime(2026, 1, 1, tzinfo=UTC)


def source_files() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if not set(LEFT_OUT) & set(path.relative_to(ROOT).parts):
                yield path
    yield from sorted(path for path in (ROOT / "templates").rglob("*") if path.suffix in TEMPLATES)


def found_in_sources() -> Catalog:
    """Every marked string, with the files that it stands in."""
    found = Catalog(charset="utf-8", creation_date=UNDATED)
    for path in source_files():
        source = path.read_text(encoding="utf-8")
        if path.suffix in TEMPLATES:
            source = templatize(source, origin=str(path))
        name = str(path.relative_to(ROOT))
        for line, message, comments, context in extract(
            "python", BytesIO(source.encode()), keywords=KEYWORDS, comment_tags=("Translators:",)
        ):
            found.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return found


def languages() -> list[str]:
    return sorted(path.name for path in LOCALE.iterdir())


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def read_catalogue(language: str) -> Catalog:
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language, charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def updated(catalogue: Catalog, found: Catalog) -> Catalog:
    """With what is found in the sources and nothing else; the translations of what was there are kept."""
    catalogue.update(found, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.project, catalogue.version, catalogue.msgid_bugs_address = "skinclinic", "1", ""
    catalogue.last_translator = catalogue.language_team = "skinclinic"
    catalogue.header_comment = "# The portal in another language. After a change: bin/messages"
    catalogue.revision_date = UNDATED
    return catalogue


def as_po(catalogue: Catalog) -> bytes:
    buffer = BytesIO()
    write_po(buffer, catalogue, width=120, sort_by_file=True, include_lineno=False)
    return buffer.getvalue()


def as_mo(catalogue: Catalog) -> bytes:
    buffer = BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def main(added: list[str]) -> int:
    found = found_in_sources()
    for language in sorted({*languages(), *added}):
        path = po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        catalogue = updated(read_catalogue(language), found)
        path.write_bytes(as_po(catalogue))
        path.with_suffix(".mo").write_bytes(as_mo(read_catalogue(language)))
        missing = sum(not all(message.string if message.pluralizable else [message.string]) for message in catalogue)
        sys.stdout.write(f"{language}: {len(catalogue)} messages, {missing} without a translation\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
