"""The table of a bulk import: what its columns take, and what is wrong with it when it stands alone.

Sentences of refusal never repeat a cell: they stay when what the cells say of people is erased.
"""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time

from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from patients.codes import BodySite, ConsentDecision, Laterality, Sex
from patients.validators import validate_past_date
from screening.codes import PhotographKind
from screening.import_places import place_of
from skinclinic.errors import ClinicError
from skinclinic.text import is_hidden, one_line

MOST_ROWS = 2000
MOST_BYTES = 2_000_000
SKIN_TYPES = {roman: number for number, roman in enumerate(("i", "ii", "iii", "iv", "v", "vi"), start=1)}
SKIN_TYPES |= {str(number): number for number in range(1, 7)}
FORMULA = ("=", "+", "-", "@")


class TableRefused(ClinicError):
    """The table as a whole is not taken: nothing of it was looked at row by row."""


class CellRefused(ClinicError):
    """One cell says nothing that the record could take."""


@dataclass(frozen=True)
class Column:
    name: str
    takes: object
    is_required: bool = True
    longest: int = 100

    @property
    def takes_codes(self) -> bool:
        """Words of the table, which are the same in every language, and no sentence about them."""
        return isinstance(self.takes, str)


def codes(choices: Iterable[str]) -> str:
    return ", ".join(choices)


COLUMNS = (
    Column("file", gettext_lazy("The photograph's file name, each once. Folders before it are left out."), longest=255),
    Column("record_number", gettext_lazy("The number that the clinic knows the patient by.")),
    Column("family_name", gettext_lazy("Must agree with the record where the number is known.")),
    Column("given_name", gettext_lazy("Must agree with the record where the number is known.")),
    Column("birth_date", gettext_lazy("1961-04-30 or 30.04.1961. Must agree with the record, too.")),
    Column("lesion", gettext_lazy("Your own label of it, such as A or 3: what has the same one comes together.")),
    Column("site", codes(BodySite.values)),
    Column("laterality", codes(Laterality.values)),
    Column("date", gettext_lazy("When it was photographed: 2024-03-01 or 01.03.2024, with the time (14:05) if known.")),
    Column("sex", gettext_lazy("female, male, other or unknown; of new patients only."), False),
    Column("skin_type", gettext_lazy("Fitzpatrick, 1 to 6 or I to VI; of new patients only."), False),
    Column("kind", gettext_lazy("dermoscopic or overview; dermoscopic if empty."), False),
    Column("consent_reading", gettext_lazy("given or refused: a reading by the model. Empty: none is noted."), False),
    Column("consent_date", gettext_lazy("When the patient decided that; required beside given or refused."), False),
    Column("question", gettext_lazy("What the visit is asked."), False, 1000),
)  # fmt: skip
NAMES = tuple(column.name for column in COLUMNS)
REQUIRED = tuple(column.name for column in COLUMNS if column.is_required)
LONGEST = {column.name: column.longest for column in COLUMNS}
EXAMPLE = {
    "file": "IMG_0001.jpg", "record_number": "4711", "family_name": "Muster", "given_name": "Erna",
    "birth_date": "1961-04-30", "lesion": "A", "site": "back", "laterality": "left", "date": "2024-03-01 14:05",
    "sex": "female", "skin_type": "2", "kind": "dermoscopic", "consent_reading": "given", "consent_date": "2024-03-01",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """What one row says, once every cell of it was understood."""

    file: str
    record_number: str
    family_name: str
    given_name: str
    birth_date: date
    lesion: str
    site: str
    laterality: str
    taken_on: date
    taken_at: time | None
    sex: str
    skin_type: int | None
    kind: str
    consent: str
    consent_date: date | None
    question: str

    @property
    def person(self) -> tuple[object, ...]:
        """What all rows of one patient have to agree on."""
        return folded(self.family_name), folded(self.given_name), self.birth_date, self.sex, self.skin_type

    @property
    def identity(self) -> dict[str, object]:
        return {"family_name": self.family_name, "given_name": self.given_name, "birth_date": self.birth_date}


@dataclass
class Row:
    """`number`: as a spreadsheet counts, with the header as 1. `person`: the number of her first row."""

    number: int
    cells: dict[str, str]
    refusals: list[str] = field(default_factory=list)
    entry: Entry | None = None
    person: int = 0


def folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def file_key(name: str) -> str:
    """What two names of one file have in common: folders, capitals and how an accent is written do not count.

    `import.js` does the same, so it goes no further than a browser can (`lower`, where names are casefolded).
    """
    last = re.split(r"[/\\]", name)[-1]
    return " ".join(unicodedata.normalize("NFC", last).lower().split())[:255]


def read_table(data: bytes) -> list[Row]:
    """The rows, each with what is wrong with it. Raises TableRefused where there is no table to speak of."""
    lines = read_lines(data)
    header = read_header(next(lines, []))
    rows = []
    for number, values in enumerate(lines, start=2):
        if not any(value.strip() for value in values):
            continue
        rows.append(read_row(number, header, values))
        if len(rows) > MOST_ROWS:
            raise TableRefused(
                _("The table has more than %(most)s rows. Divide it, and import one part after the other.")
                % {"most": MOST_ROWS}
            )
    if not rows:
        raise TableRefused(_("The table has a header and no row. Fill in a row for each photograph."))
    compare_rows(rows)
    return rows


def read_lines(data: bytes) -> Iterable[list[str]]:
    if len(data) > MOST_BYTES:
        raise TableRefused(_("The table is larger than 2 MB. Divide it, and import one part after the other."))
    if data.startswith(b"PK"):
        raise TableRefused(_("This is a zip or a spreadsheet. Save the table as “CSV UTF-8” and send that."))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableRefused(_("The table is not written in UTF-8. Save it as “CSV UTF-8” and send that.")) from None
    if "\0" in text:
        raise TableRefused(_("This is no CSV. Save the table as “CSV UTF-8” and send that."))
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        return iter(list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))
    except csv.Error:
        raise TableRefused(
            _("The table cannot be taken apart: a quotation mark is opened and not closed, or a cell has no end.")
        ) from None


def read_header(cells: list[str]) -> list[str]:
    header = [cell.strip().casefold() for cell in cells]
    known = codes(NAMES)
    if not any(header):
        raise TableRefused(_("The table is empty. Its first row names the columns: %(known)s.") % {"known": known})
    for number, name in enumerate(header, start=1):
        if name not in NAMES:
            raise TableRefused(
                _("The name of column %(number)s is none we know. The columns are: %(known)s.")
                % {"number": number, "known": known}
            )
    if twice := [name for name in NAMES if header.count(name) > 1]:
        raise TableRefused(_("The column %(name)s is there twice. Remove one of them.") % {"name": twice[0]})
    if missing := [name for name in REQUIRED if name not in header]:
        raise TableRefused(
            ngettext("This column is missing: %(names)s.", "These columns are missing: %(names)s.", len(missing))
            % {"names": codes(missing)}
        )
    return header


def read_row(number: int, header: list[str], values: list[str]) -> Row:
    row = Row(number, {name: value.strip() for name, value in zip(header, values, strict=False)})
    if len(values) > len(header):
        row.refusals.append(_("The row has more cells than the header. Put text that has commas in quotation marks."))
    # What cannot be kept as it stands is not kept at all.
    for name, text in row.cells.items():
        if len(text) > LONGEST[name] or any(is_hidden(char) for char in text):
            row.refusals.append(unkeepable(name, text))
            row.cells[name] = one_line(text, LONGEST[name])
    try:
        row.entry = read_entry(row.cells)
    except CellRefused as refusal:
        row.refusals.append(str(refusal))
    return row


def unkeepable(name: str, text: str) -> str:
    if len(text) > LONGEST[name]:
        return _("%(column)s: longer than %(longest)s characters.") % {"column": name, "longest": LONGEST[name]}
    return _("%(column)s: has characters that cannot be seen, such as a line end.") % {"column": name}


def read_entry(cells: Mapping[str, str]) -> Entry:
    """Raises CellRefused, with a sentence for each cell that is wrong."""
    wrong: list[str] = []

    def read(name: str, reader: Callable, *arguments: object):
        text = cells.get(name, "")
        try:
            if not text and name in REQUIRED:
                raise CellRefused(_("is empty."))
            if text.startswith(FORMULA):
                raise CellRefused(_("begins with =, +, - or @, as a formula does. Write the text without it."))
            return reader(text, *arguments)
        except CellRefused as refusal:
            wrong.append(f"{name}: {refusal}")
            return None

    taken_on, taken_at = read("date", moment) or (None, None)
    entry = Entry(
        file=read("file", file_named),
        record_number=read("record_number", str),
        family_name=read("family_name", str),
        given_name=read("given_name", str),
        birth_date=read("birth_date", past_day),
        lesion=read("lesion", str),
        site=read("site", one_of, BodySite),
        laterality=read("laterality", one_of, Laterality),
        taken_on=taken_on,
        taken_at=taken_at,
        sex=read("sex", one_of, Sex, Sex.UNKNOWN),
        skin_type=read("skin_type", skin_type),
        kind=read("kind", one_of, PhotographKind, PhotographKind.DERMOSCOPIC),
        consent=read("consent_reading", one_of, ConsentDecision, ""),
        consent_date=read("consent_date", past_day),
        question=read("question", str),
    )
    if not wrong:
        wrong += contradictions(entry)
    if wrong:
        raise CellRefused(" ".join(wrong))
    return entry


def contradictions(entry: Entry) -> Iterable[str]:
    if entry.taken_on < entry.birth_date:
        yield _("date: the photograph is older than the patient.")
    if entry.consent and entry.consent_date is None:
        yield _("consent_date: is empty. Say when the patient decided.")
    if entry.consent_date and not entry.consent:
        yield _("consent_reading: is empty beside its date. Say what the patient decided.")
    if place_of(entry.site, entry.laterality) is None:
        yield _("laterality: this site is left or right, never in the middle.")


def file_named(text: str) -> str:
    if not file_key(text):
        raise CellRefused(_("names a folder and no file."))
    return re.split(r"[/\\]", text)[-1]


def one_of(text: str, choices: type[TextChoices], empty: str | None = None) -> str:
    if not text and empty is not None:
        return empty
    code = text.casefold().replace(" ", "_")
    if code not in choices.values:
        raise CellRefused(_("is none of %(codes)s.") % {"codes": codes(choices.values)})
    return code


def skin_type(text: str) -> int | None:
    if text and text.casefold() not in SKIN_TYPES:
        raise CellRefused(_("is none of 1 to 6 or I to VI."))
    return SKIN_TYPES.get(text.casefold())


def past_day(text: str) -> date | None:
    if not text:
        return None
    # Not as the pages show days: the worker reads a table again, in a language of its own.
    day = next(filter(None, (day_written(text, shape) for shape in ("%Y-%m-%d", "%d.%m.%Y"))), None)
    if day is None:
        raise CellRefused(_("is no date such as 1961-04-30 or 30.04.1961."))
    try:
        validate_past_date(day)
    except ValidationError as error:
        raise CellRefused(" ".join(error.messages)) from None
    return day


def day_written(text: str, shape: str) -> date | None:
    try:
        return datetime.strptime(text, shape).date()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        return None


def moment(text: str) -> tuple[date | None, time | None]:
    """A day, or a day and a time of it."""
    day, _space, clock = text.replace("T", " ").partition(" ")
    return past_day(day), clock_time(clock.strip()) if clock else None


def clock_time(text: str) -> time:
    for shape in ("%H:%M", "%H:%M:%S"):
        try:
            return datetime.strptime(text, shape).time()  # noqa: DTZ007 (the clinic's zone is added to it)
        except ValueError:
            continue
    raise CellRefused(_("has a time that is not written as 14:05."))


def compare_rows(rows: list[Row]) -> None:
    """What rows say against each other, and which of them are one patient's."""
    numbers: dict[str, int] = {}
    first = First()
    files = defaultdict(list)
    for row in rows:
        # Without a number a row is nobody's but its own.
        number = row.cells.get("record_number") or f"row {row.number}"
        row.person = numbers.setdefault(number, row.number)
        files[file_key(row.cells.get("file", ""))].append(row)
        if row.entry:
            row.refusals += first.contradicted_by(row, row.entry)
    for key, named in files.items():
        for row in named if key and len(named) > 1 else []:
            others = [str(other.number) for other in named if other is not row]
            row.refusals.append(_("The same file is named in row %(rows)s.") % {"rows": codes(others[:3])})


@dataclass
class First:
    """The first row that told something of a patient or of a lesion: later ones have to agree with it."""

    people: dict[object, tuple[int, object]] = field(default_factory=dict)
    consents: dict[object, tuple[int, object]] = field(default_factory=dict)
    lesions: dict[object, tuple[int, object]] = field(default_factory=dict)

    def contradicted_by(self, row: Row, entry: Entry) -> Iterable[str]:
        number, told = self.people.setdefault(row.person, (row.number, entry.person))
        if told != entry.person:
            yield _(
                "The name, birth date, sex or skin type is another than in row %(row)s, which has the same number."
            ) % {"row": number}
        if entry.consent:
            consent = (entry.consent, entry.consent_date)
            number, told = self.consents.setdefault(row.person, (row.number, consent))
            if told != consent:
                yield _("The consent is another than in row %(row)s, which has the same number.") % {"row": number}
        place = (entry.site, entry.laterality)
        number, told = self.lesions.setdefault((row.person, folded(entry.lesion)), (row.number, place))
        if told != place:
            yield _("The lesion is at another site or side than in row %(row)s, which has the same label.") % {
                "row": number
            }
