"""Each catalogue holds what the sources say, all of it translated, and is compiled."""

import re
from collections import Counter

import pytest
from django.apps import apps
from django.conf import settings

from ml.cautions import HAM10000_RULES
from ml.contract import UNSCORABLE_REASONS
from ml.fake import load
from ml.labels import DIAGNOSIS_NAMES
from screening.deeds import BARE, CLINIC, COLUMNS, DECIDED, NOT_TOLD, SETTINGS, STATUSES, THINGS, VERSIONS
from screening.words import FINDINGS, MARKED
from skinclinic.catalogue import (
    ROOT,
    TEMPLATES,
    as_mo,
    as_po,
    found_in_sources,
    languages,
    po_path,
    read_catalogue,
    updated,
)

# %(name)s as Python and Django put values in, {name} as the scripts do; and the markup of a sentence with a link.
PLACE = re.compile(r"%\(\w+\)[sd]|%%|\{\w+\}|</?\w+[^>]*>")
MARKED_IN_TEMPLATE = re.compile(r"""\{% translate (["'])(.*?)\1""")
# What these hold is not told, or a link's name is; the ledger is not given it.
NOT_ON_THE_LEDGER = {
    "activation_map", "lease_until", "photograph", "probabilities", "quality", "sent_at", "taken_until", "thumbnail",
    "times_sent", "attempts", "cells", "file_key", "likely_patients", "likely_rows", "photograph_refusal",
    "token_hash", "secret", "previous_secret", "told_up_to", "not_before", "client_secret", "end_session_endpoint",
    "offers_logout", "offers_refresh", "offers_offline", "looked_at",
}  # fmt: skip


def every_message(language: str):
    return [message for message in read_catalogue(language) if message.id]


def texts(value) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def test_every_language_has_its_catalogue():
    assert languages() == sorted(code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE)


@pytest.mark.parametrize("language", languages())
def test_catalogue_is_what_the_sources_say(language):
    stored = po_path(language).read_bytes()
    assert as_po(updated(read_catalogue(language), found_in_sources())) == stored, "run bin/messages"


@pytest.mark.parametrize("language", languages())
def test_nothing_is_untranslated_or_doubtful(language):
    lacking = [message.id for message in every_message(language) if message.fuzzy or not all(texts(message.string))]
    assert not lacking


@pytest.mark.parametrize("language", languages())
def test_translations_keep_what_is_put_in(language):
    for message in every_message(language):
        one, *several = texts(message.id)
        for number, text in enumerate(texts(message.string)):
            source = several[0] if several and number else one
            assert Counter(PLACE.findall(text)) == Counter(PLACE.findall(source)), text


@pytest.mark.parametrize("language", languages())
def test_compiled_catalogue_is_the_written_one(language):
    assert po_path(language).with_suffix(".mo").read_bytes() == as_mo(read_catalogue(language)), "run bin/messages"


def test_every_mark_in_a_template_is_found():
    """The templates are read as Python, in which a stray quotation mark could hide what follows."""
    found = Counter(path for message in found_in_sources() for path, _ in message.locations)
    for path in (path for path in (ROOT / "templates").rglob("*") if path.suffix in TEMPLATES):
        marks = {text for _, text in MARKED_IN_TEMPLATE.findall(path.read_text())}
        assert found[str(path.relative_to(ROOT))] >= len(marks), path


def test_sentences_of_the_model_are_marked_letter_for_letter():
    said = {*UNSCORABLE_REASONS.values(), *DIAGNOSIS_NAMES.values(), *(rule.sentence for rule in HAM10000_RULES)}
    qualities = {name.replace("_", " ") for name in load().read(drawn()).quality}
    assert said | qualities == MARKED
    assert UNSCORABLE_REASONS.keys() | {rule.code for rule in HAM10000_RULES} == FINDINGS.keys()


def drawn() -> bytes:
    from io import BytesIO

    from ml.drawing import draw_photograph

    buffer = BytesIO()
    draw_photograph(7).save(buffer, "JPEG")
    return buffer.getvalue()


def columns_of(tables: set[str]) -> set[str]:
    """Those that a history tells of."""
    columns = {
        field.column
        for model in apps.get_models()
        if model._meta.db_table in tables
        for field in model._meta.concrete_fields
        if not field.column.endswith("_id")
    }
    return columns - NOT_TOLD - STATUSES.keys() - VERSIONS.keys() - NOT_ON_THE_LEDGER


def test_columns_that_a_history_names_are_marked():
    tables = {*THINGS, *(table for table, _ in DECIDED)} - {CLINIC, *BARE}
    assert {column.replace("_", " ") for column in columns_of(tables)} == COLUMNS


def test_the_clinics_settings_have_names_of_their_own():
    assert columns_of({CLINIC}) == SETTINGS.keys()
