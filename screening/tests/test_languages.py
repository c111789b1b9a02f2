"""Every word that a person is shown can be put into her language, and in German it is."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.translation import trans_real

from conftest import PASSWORD, Cast, Chart, make_chart, make_screening, with_another_lesion
from patients.services import merge_patients, open_visit
from screening.images import clean_photograph
from screening.models import Overview, ReadingProblem, Screening
from screening.report import TEMPLATES
from screening.services import versions
from screening.services.notices import sweep_notices
from screening.services.outcomes import Finding, enter_outcome
from screening.services.photographs import Points, add_overview, set_scale, withdraw_screening
from screening.services.problems import answer_problem, report_problem
from screening.services.reviews import Opinion
from screening.templatetags.chips import drawn_chip
from screening.tests.conftest import finish, give, read_by_model, sign
from screening.tests.importing import ERNA, JOSEF, begin, post, run, send_all, send_photograph
from screening.tests.test_pages import ONLY, pages
from skinclinic.accounts.models import Clinic, User

OPEN, SHUT = "⟦", "⟧"

# The same in every language: units, formats, the model's codes, and what is called by its name.
SAME = {
    "mm", "ms", "MB", "CSV", "PDF", "API", "JPEG", "skinclinic", "web", "system", "tests", "http", "localhost",
    "akiec", "bcc", "bkl", "df", "mel", "nv", "vasc",
}  # fmt: skip

# What the cast is called, and what it typed.
TYPED = {
    "North", "Alice", "Alder", "Rita", "Rowan", "Rolf", "Rush", "Ada", "Ash", "Otto", "Oak", "Winterbottom", "Erna",
    "alice", "rita", "rolf", "ada", "otto", "example", "org", "Wortlaut", "UTC",
    "Autumnbottom", "Josef", "erna", "josef",
}  # fmt: skip

# What the clinic wrote.
OWN = ("Changing for three months?",)

WORD = re.compile(r"[^\W\d_]{2,}")

ADDRESS_KEY_OR_DIGEST = re.compile(
    r"https?://\S+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{12,}\b|\d[\w.-]*"
)

TOLD = {"alt", "title", "aria-label", "placeholder", "data-key-name"}

SEVERAL_WORDS = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}")

WITHOUT_END = {"meta", "link", "img", "input", "br", "path", "circle", "rect", "line", "polyline"}

MELANOMA = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise", words="Wortlaut")

LATER = Opinion(suspicious=False, diagnosis="nevus", recommendation="follow_up", follow_up_months=3)


class Shown(HTMLParser):
    """What a page tells people, and what it hands to its scripts to be told."""

    def __init__(self, page: str):
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self.open: list[tuple[str, bool]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name, text in given.items():
            if name in TOLD or (name.startswith("data-") and SEVERAL_WORDS.search(text)):
                self.attributes.append(text)
        # A key is what its cap says; a language has its own name, and so has what is written for programs.
        is_own = (tag != "html" and "lang" in given) or given.get("translate") == "no"
        is_silent = tag in ("script", "style", "kbd") or is_own
        if tag not in WITHOUT_END:
            self.open.append((tag, is_silent))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(is_silent for _, is_silent in self.open):
            self.texts.append(data)


def outside(texts: list[str]) -> Iterator[str]:
    """What of each stands in no bracket; one may stand in another, and around a link."""
    depth = 0
    for text in texts:
        kept = []
        for char in text:
            depth += (char == OPEN) - (char == SHUT)
            kept.append(" " if depth or char == SHUT else char)
        yield "".join(kept)
    assert depth == 0


def unmarked(page: str) -> Iterator[str]:
    shown = Shown(page)
    for text in [*outside(shown.texts), *(rest for told in shown.attributes for rest in outside([told]))]:
        rest = text
        for sentence in OWN:
            rest = rest.replace(sentence, " ")
        if set(WORD.findall(ADDRESS_KEY_OR_DIGEST.sub(" ", rest))) - SAME - TYPED:
            yield " ".join(text.split())


class Bracketed:
    """German, each text of it in brackets: what stands outside of them came past the catalogue."""

    def __init__(self, german: trans_real.DjangoTranslation):
        self.german = german

    def gettext(self, message: str) -> str:
        found = self.german._catalog.get(message)
        return f"{OPEN}{found}{SHUT}" if found else message

    def ngettext(self, one: str, many: str, number: int) -> str:
        try:
            return f"{OPEN}{self.german._catalog.plural(one, number)}{SHUT}"
        except KeyError:
            return one if number == 1 else many

    def to_language(self) -> str:
        return "de"


@pytest.fixture
def bracketed(monkeypatch) -> Iterator[None]:
    monkeypatch.setitem(trans_real._translations, "de", Bracketed(trans_real.translation("de")))
    drawn_chip.cache_clear()
    yield
    drawn_chip.cache_clear()


def german(cast: Cast, who: str) -> Client:
    person = getattr(cast, who)
    User.objects.filter(pk=person.user.pk).update(language="de")
    return person.client


@pytest.fixture
def busy(cast: Cast, chart: Chart, random_photograph: Callable[[], bytes]) -> dict[str, list[list[UUID]]]:
    """Clinic North with something in every state, and its pages by their names with the ids that lead to them."""

    def shoot(into: Chart, **told) -> Screening:
        return make_screening(cast.alice, into, random_photograph(), **told)

    with cast.alice.acting() as alice:
        later = open_visit(actor=alice, patient=chart.patient, question="Wortlaut", urgency="urgent", diameter_mm=6)
    again = Chart(chart.patient, later, chart.lesion)
    signed, unfit = shoot(chart), shoot(chart)
    suspect = shoot(with_another_lesion(cast.alice, chart))
    read_by_model(cast, signed, refer=False)
    finish(cast, suspect, refer=True, band="high")
    finish(cast, unfit, unscorable_reasons=("blurred",), band=None)
    give(cast, signed, LATER)
    give(cast, suspect, MELANOMA)
    give(cast, unfit)
    sign(cast, chart.visit)
    high, failed, waiting, gone, running = (shoot(again, findings=("ulcerated",)) for _ in range(5))
    finish(cast, high, refer=True, band="high", cautions=("ulcerated",))
    with cast.in_north():
        Screening.objects.filter(pk=failed.pk).update(reading_status="failed", failure_code="too_slow")
        Screening.objects.filter(pk=running.pk).update(reading_status="running", lease_until="2030-01-01T00:00Z")
    refused = make_chart(cast.alice, consent="refused")
    unwanted = shoot(refused)
    other = make_chart(cast.alice, given_name="Erna")
    shoot(other)
    with cast.alice.acting() as alice:
        withdraw_screening(actor=alice, screening=gone, reason="wrong_patient")
        add_overview(
            actor=alice, visit=later, lesion=chart.lesion, clean=clean_photograph(as_file(random_photograph()))
        )
        set_scale(
            actor=alice, image=high.image, submission=uuid4(), points=Points(0.1, 0.1, 0.9, 0.9), millimetres=12.5
        )
        merge_patients(duplicate=other.patient, into=chart.patient)
        enter_outcome(actor=alice, lesion=chart.lesion, submission=uuid4(), finding=Finding("bcc", today(), "Wortlaut"))
    with cast.rita.acting() as rita:
        for words in ("Wortlaut", ""):
            report_problem(
                actor=rita,
                screening=Screening.objects.shown_to(rita).get(pk=high.pk),
                submission=uuid4(),
                kind="score",
                words=words,
            )
    with cast.ada.acting() as ada:
        answer_problem(actor=ada, problem=ReadingProblem.objects.first(), answer="Wortlaut")
    sweep_notices()
    with cast.in_north():
        overview = Overview.objects.get()
    common = {name: [ids] for name, ids in pages(chart, waiting, begin(cast, ERNA, JOSEF)).items()}
    return common | {
        "overview": [[overview.pk]],
        "patient_chart": [[chart.patient.pk], [other.patient.pk], [refused.patient.pk]],
        "patient_history": [[chart.patient.pk], [other.patient.pk]],
        "screening": [[each.pk] for each in (signed, suspect, unfit, high, failed, waiting, gone, running, unwanted)],
        "screening_history": [[gone.pk]],
        "visit": [[chart.visit.pk], [later.pk], [refused.visit.pk]],
        "visit_report": [[chart.visit.pk]],
        "visit_letter": [[chart.visit.pk]],
    }


def as_file(data: bytes):
    from io import BytesIO

    return BytesIO(data)


def today():
    from django.utils import timezone

    return timezone.localdate()


def walk(client: Client, who: str, named: dict[str, list[list[UUID]]]) -> list[str]:
    """What is in no bracket on those of the pages that this person may open, each with its page."""
    may = {name: each for name, each in named.items() if who in ONLY.get(name, {who})}
    addresses = [reverse(name, args=ids) for name, each in may.items() for ids in each]
    if who in ONLY["worklist"]:
        addresses += [f"{reverse('worklist')}?{asked}" for asked in ("reading=low", "show=disputed", "since=x")]
    assert addresses
    found = []
    for address in addresses:
        answer = client.get(address, follow=True)
        assert answer.status_code == 200, address
        if answer["Content-Type"].startswith("text/html"):
            found += [f"{address}: {text}" for text in unmarked(answer.content.decode())]
    return found


@pytest.mark.parametrize("who", ["alice", "rita", "ada", "otto"])
def test_every_word_on_a_page_is_marked(cast, busy, bracketed, who):
    assert walk(german(cast, who), who, busy) == []


@pytest.mark.parametrize("who", ["alice", "rita", "ada"])
def test_every_word_is_marked_while_readings_are_suspended(cast, busy, bracketed, who):
    Clinic.objects.filter(pk=cast.north.pk).update(second_reading_percent=100)
    with cast.ada.acting() as ada:
        everything = versions.suspend_readings(actor=ada, version=None, reason="Wortlaut")
        policy = versions.policy_of(actor=ada)
        versions.suspend_readings(actor=ada, version=policy.active, reason="Wortlaut")
        versions.ask_to_resume(actor=ada, suspension=everything)
    assert walk(german(cast, who), who, busy) == []


@pytest.mark.parametrize("hidden", [{"blind_first_reading": True}, {"unreviewed_readings": "never"}])
def test_every_word_is_marked_while_readings_are_hidden(cast, busy, bracketed, hidden):
    Clinic.objects.filter(pk=cast.north.pk).update(**hidden)
    judged = {"screening", "screening_live", "visit", "worklist", "lesion", "visit_report"}
    assert walk(german(cast, "alice"), "alice", busy) == []
    assert walk(german(cast, "rolf"), "rolf", {name: busy[name] for name in judged}) == []


def test_every_word_is_marked_on_empty_pages(cast, bracketed):
    empty: dict[str, list[list[UUID]]] = {
        name: [[]] for name in ("today", "patients", "worklist", "models", "problems", "notices")
    }
    for who in ("alice", "rita", "ada", "otto"):
        assert walk(german(cast, who), who, empty) == []


def test_every_word_of_a_refused_form_is_marked(cast, chart, screening, bracketed):
    """What is said of empty and of senseless forms, on the page itself or on the one that it leads to."""
    clinic = {"clinic": str(cast.north.pk)}
    pictured, patient, visit = [screening.pk], [chart.patient.pk], [chart.visit.pk]
    finish(cast, screening, refer=True, band="high")
    forms = {
        "alice": [
            ("patient_new", [], {"birth_date": "2999-01-01", "family_name": "E\u2028"}),
            ("patient_correct", patient, {}), ("consent_note", patient, {}),
            ("consent_withdraw", [*patient, "teaching"], {}), ("lesion_new", patient, {}), ("visit_new", patient, {}),
            ("patient_merge", patient, {"into": str(uuid4())}), ("patient_unmerge", patient, {}),
            ("screening_withdraw", pictured, {"reason": "other"}), ("move_search", pictured, {"words": "nobody"}),
            ("outcome_enter", [chart.lesion.pk], {"diagnosis": "other"}), ("scale_set", pictured, {"x1": "7"}),
            ("problem_report", pictured, {"kind": "other"}), ("reading_retry", pictured, {}),
            ("photograph_upload", visit, {"lesion": str(chart.lesion.pk)}),
            ("patients", [], {"words": "Wortlaut"}), ("visit_sign", visit, {}),
        ],
        "rita": [
            ("opinion_save", pictured, {"submission": str(uuid4()), "diagnosis": "other", "suspicious": "yes"}),
            ("opinion_save", pictured, {
                "submission": str(uuid4()), "diagnosis": "nevus", "suspicious": "no", "recommendation": "reassure",
                "reading_shown": "",
            }),
            ("visit_sign", visit, {}), ("visit_next", [], {}), ("filter_keep", [], {}),
            ("worklist", [], {"words": "x"}),
            ("draft_keep", pictured, {"words": "Wortlaut"}),
        ],
        "ada": [
            ("clinic_settings", [], {}), ("readings_suspend", [], {}), ("expected_share", [], {}),
            ("choose_clinic", [], {"clinic": "x"}),
        ],
    }  # fmt: skip
    found = []
    for who, sent in forms.items():
        client = german(cast, who)
        for name, ids, form in sent:
            answer = client.post(reverse(name, args=ids), clinic | form, follow=True)
            assert answer.status_code in (200, 403, 404, 409), (name, answer.status_code)
            found += [f"{name}: {text}" for text in unmarked(answer.content.decode())]
    assert found == []


def test_every_word_of_an_import_is_marked(cast, chart, bracketed, random_photograph):
    """What is kept of a refusal is in the words of who sent the table; so they are sent in German here."""
    alice = german(cast, "alice")
    twice = begin(cast, ERNA, JOSEF, JOSEF, ERNA | {"file": "erna-2.jpg", "lesion": "B"})
    refused = begin(cast, ERNA, JOSEF)
    for name, data in (("erna-1.jpg", b"none"), ("josef-1.jpg", random_photograph())):
        send_photograph(cast, refused, name, data)
    dropped, confirmed, done = (begin(cast, JOSEF) for _ in range(3))
    post(cast, dropped, "drop")
    for batch in (confirmed, done):
        send_all(cast, batch, random_photograph)
        post(cast, batch, "confirm")
    run(done)
    found = []
    for batch in (twice, refused, dropped, confirmed, done):
        for part in ("", "live/", "?show=problems", "?show=waiting"):
            found += unmarked(alice.get(f"/imports/{batch.pk}/{part}").content.decode())
    assert found == []


def test_every_word_before_signing_in_is_marked(cast, bracketed):
    client = Client(headers={"accept-language": "de"})
    addresses = ["login/", "password/reset/", "password/reset/done/", "password/reset/key/1-x/", "signup/", "inactive/"]
    sign_in = {"login": "x", "password": PASSWORD}
    for answer in [
        *(client.get(f"/accounts/{address}") for address in (*addresses, "password/reset/key/done/")),
        client.get("/nowhere/"),
        client.post("/accounts/login/", sign_in),
        Client(enforce_csrf_checks=True, headers={"accept-language": "de"}).post("/accounts/login/", sign_in),
    ]:
        assert list(unmarked(answer.content.decode())) == [], answer.request["PATH_INFO"]
    alice = german(cast, "alice")
    for address in ("/accounts/password/change/", "/accounts/logout/", "/clinic/", reverse("worklist"), "/nowhere/"):
        assert list(unmarked(alice.get(address).content.decode())) == [], address


def test_every_word_of_the_first_page_is_marked(db, bracketed):
    client = Client(headers={"accept-language": "de"})
    for answer in (client.get(reverse("first_run")), client.post(reverse("first_run"), {"time_zone": "x"})):
        assert answer.status_code == 200
        assert list(unmarked(answer.content.decode())) == []


def test_no_layout_or_script_has_words_of_its_own():
    """The layouts of a PDF and the scripts are handed theirs."""
    scripts = sorted((settings.BASE_DIR / "static" / "skinclinic").glob("*.js"))
    layouts = sorted(TEMPLATES.glob("*.typ"))
    assert len(scripts) > 5
    assert len(layouts) == 2
    said = re.compile(r"""["'`\[](?:[A-Z][a-z]+|[a-z]+ ?\$\{[^}]*\}) [a-z]+[^"'`]*["'`\]]""")
    for path in scripts:
        assert not said.findall(re.sub(r"(?s:/\*.*?\*/)|//.*", "", path.read_text())), path
    for path in layouts:
        text = re.sub(r"//.*|font: \([^)]*\)", "", path.read_text())
        assert not re.findall(r"[\[\"](?:[A-Z]?[a-z]+ )+[a-z]+", text), path
