"""The assessment says of each table what is in it and for how long."""

import re

from django.conf import settings

from skinclinic.accounts.tests.test_tables import tables


def test_every_table_is_in_the_assessment_once(db):
    text = (settings.BASE_DIR / "docs" / "dpia.md").read_text()
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(named) == len(set(named))
    assert set(named) == tables("true")
