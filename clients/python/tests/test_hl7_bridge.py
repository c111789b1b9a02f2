"""The mapping between HL7 v2 and a clinic that the documentation shows, run as it says."""

import subprocess
import sys
from pathlib import Path

import hl7
import pytest
from django.conf import settings

from conftest import make_screening
from patients.models import Patient
from patients.services import add_identifier
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, give, sign
from skinclinic.api.services import create_client

SCRIPT = Path(settings.BASE_DIR) / "docs" / "integrations" / "examples" / "hl7_bridge.py"
HEAD = "MSH|^~\\&|HIS|HOSP|SKIN|CLINIC|20261128101500||ADT^{event}|MSG1|P|2.5.1||||||UNICODE UTF-8"
PID = "PID|1||4711^^^HIS&1.2.3&ISO^MR~756.1^^^AHV^NI||{name}||19610430|F|||||+43 1"


@pytest.fixture
def pair(real_cast):
    scopes = ["patients:read", "patients:write", "screenings:read", "reviews:read"]
    row, secret = create_client(clinic=real_cast.north, name="Engine", scopes=scopes)
    return row.client_id, secret


@pytest.fixture
def bridge(named):
    def run(*words: object, told: str = "") -> str:
        command = [sys.executable, str(SCRIPT), *map(str, words)]
        ran = subprocess.run(command, env=named, input=told, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def adt(bridge, event: str, *segments: str) -> str:
    ack = hl7.parse(bridge("adt", told="\n".join([HEAD.format(event=event), *segments])).replace("\n", "\r"))
    assert str(ack.segment("MSA")(2)) == "MSG1"
    return str(ack.segment("MSA")(1))


def patients(cast) -> list[Patient]:
    with cast.in_north():
        return list(Patient.objects.select_related("identity").prefetch_related("identifiers").order_by("created_at"))


def test_a_patient_is_registered_corrected_and_merged(real_cast, bridge):
    assert adt(bridge, "A04", PID.format(name="Win\\T\\ter^Erna^M")) == "AA"
    (made,) = patients(real_cast)
    assert (made.identity.family_name, str(made.identity.birth_date), made.sex) == ("Win&ter", "1961-04-30", "female")
    numbers = [(each.system, each.value, each.type) for each in made.identifiers.all()]
    assert sorted(numbers) == [("urn:hl7:AHV", "756.1", "national"), ("urn:hl7:HIS", "4711", "record")]
    assert adt(bridge, "A08", PID.format(name="Sommer^Erna")) == "AA"
    (same,) = patients(real_cast)
    assert same.identity.family_name == "Sommer"
    other = PID.replace("4711", "4712").replace("~756.1^^^AHV^NI", "").format(name="Sommer^E.")
    assert adt(bridge, "A28", other) == "AA"
    assert adt(bridge, "A40", PID.format(name="Sommer^Erna"), "MRG|4712^^^HIS^MR") == "AA"
    first, second = patients(real_cast)
    assert second.merged_into_id == first.pk


def test_what_cannot_be_taken_is_answered(bridge):
    assert adt(bridge, "A03", PID.format(name="Winter^Erna")) == "AR"
    unborn = PID.replace("19610430", "20990101").format(name="Winter^Erna")
    assert adt(bridge, "A04", unborn) == "AE"


@pytest.mark.parametrize(
    ("pid", "code"),
    [
        ("PID|1||4711^^^HIS||Winter^Erna||19610430", "AA"),
        ("PID|1||4711||Winter^Erna||196104301200|F", "AA"),
        ("PID|1||4711^^^HIS^MR||Winter^Erna||1961|F", "AR"),
        ("PID|1||4711^^^HIS^MR||Winter^Erna", "AE"),
        ("PID|1||||Winter^Erna||19610430|F", "AR"),
        ("NK1|1", "AR"),
    ],
)
def test_what_other_systems_leave_out_is_no_reason_to_fall_silent(bridge, pid, code):
    assert adt(bridge, "A04", pid) == code


def test_a_merge_without_the_other_number_is_answered(bridge):
    assert adt(bridge, "A40", PID.format(name="Winter^Erna")) == "AR"


def test_what_a_message_does_not_say_is_left_as_it_is(real_cast, bridge):
    adt(bridge, "A04", PID.format(name="Winter^Erna"))
    assert adt(bridge, "A08", "PID|1||4711^^^HIS^MR||Sommer") == "AA"
    (same,) = patients(real_cast)
    assert (same.identity.family_name, same.identity.given_name, same.identity.phone) == ("Sommer", "Erna", "+43 1")
    assert (str(same.identity.birth_date), same.sex) == ("1961-04-30", "female")
    assert adt(bridge, "A08", 'PID|1||4711^^^HIS^MR||Sommer^Erna|||""|||||""') == "AA"
    (same,) = patients(real_cast)
    assert (same.identity.phone, same.sex) == ("", "unknown")


def test_what_is_no_message_is_told_without_its_words(named):
    command = [sys.executable, str(SCRIPT), "adt"]
    ran = subprocess.run(command, env=named, input="Winter", capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("This is no HL7 v2 message")


def test_a_signed_report_goes_out_without_the_reading(real_cast, bridge, chart, tmp_path, photograph_bytes):
    with real_cast.alice.acting():
        for kind in ("national", "insurance", "other"):
            add_identifier(patient=chart.patient, system="urn:hl7:X&Y", value=f"n-{kind}", number_type=kind)
    screening = make_screening(real_cast.alice, chart, photograph_bytes)
    finish(real_cast, screening, refer=True, band="high")
    words = "Irregular | asymmetric\nSee soon"
    give(real_cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise", words=words))
    sign(real_cast, chart.visit)
    since = bridge("oru", tmp_path).strip()
    (file,) = tmp_path.glob("*.hl7")
    text = file.read_bytes().decode()
    message = hl7.parse(text)
    assert (str(message.segment("PID")(3)[0](1)), str(message.segment("OBR")(25))) == ("4711", "F")
    assert {str(each(1)): str(each(5)) for each in message.segment("PID")(3)}.items() >= {
        "n-national": "NI", "n-insurance": "HC", "n-other": "U",
    }.items()  # fmt: skip
    assert "^^^X\\T\\Y^NI" in text
    told = [message.unescape(str(line(5))) for line in message.segments("OBX")]
    assert told[1:5] == ["Suspicious: melanoma", "Recommended: excise", "Irregular | asymmetric", "See soon"]
    assert "high" not in text
    assert bridge("oru", tmp_path, "--since", since).strip() == since
    assert len(list(tmp_path.iterdir())) == 1
