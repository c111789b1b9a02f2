"""What is claimed in documents names the test that holds it; a test that was renamed or removed is missed here."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

DOCUMENTS = ("THREAT_MODEL.md", "docs/reliability.md")
NAMED = re.compile(r"`(?P<path>[\w/]+\.py)?::(?P<test>test_\w+)`")


@cache
def names_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def named_in(document: str) -> Iterator[tuple[str, str]]:
    """The file and the test; one without a file is of the file before it."""
    path = ""
    for found in NAMED.finditer((settings.BASE_DIR / document).read_text()):
        path = found["path"] or path
        yield path, found["test"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_that_is_named_is_there(document):
    named = list(named_in(document))
    missing = [(path, test) for path, test in named if test not in names_of(settings.BASE_DIR / path)]
    assert len(named) > 20
    assert not missing
