"""What an integration engine does between HL7 v2 and a skinclinic; a mapping to start from.

    pip install ./clients/python hl7
    export SKINCLINIC_URL=https://clinic.example SKINCLINIC_ID=… SKINCLINIC_SECRET=…
    python hl7_bridge.py adt < a08.hl7          # registers, corrects or merges a patient; prints the ACK
    python hl7_bridge.py oru OUT --since 0      # a file OUT/<number>.hl7 for each signed report; prints where to go on

The system wants the rights to read and write patients, to read screenings and to read reviews. The doctor's words go
out; what the model said does not.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import hl7
from skinclinic_client import Clinic, ClinicProblem

REGISTER, MERGE = {"A01", "A04", "A05", "A08", "A28", "A31"}, {"A40"}
KINDS = {"MR": "record", "PI": "record", "PT": "record", "NI": "national", "SS": "national", "HC": "insurance"}
TYPES = {"record": "MR", "national": "NI", "insurance": "HC", "other": "U"}
SEXES = {"F": "female", "M": "male", "O": "other", "A": "other"}
BACK = {"female": "F", "male": "M", "other": "O"}
SIGNED = {"report.signed": "F", "report.amended": "C"}
CODES = "99SKINCLINIC"
ESCAPES = str.maketrans({"|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\\": "\\E\\"})


NULL = '""'  # what HL7 sends to empty a field; one that is not there, or holds nothing, is left as it is


class NotMapped(Exception):
    """The message is none of those that this mapping knows."""


def clinic() -> Clinic:
    try:
        return Clinic(*(os.environ[f"SKINCLINIC_{name}"] for name in ("URL", "ID", "SECRET")))
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set.")


def adt(to: Clinic, text: str) -> str:
    """The ACK: AA done, AE refused by the clinic with its sentence, AR not mapped."""
    try:
        message = hl7.parse(text.strip().replace("\r\n", "\r").replace("\n", "\r"))
    except hl7.ParseException:
        sys.exit("This is no HL7 v2 message, so there is nothing to answer it with.")
    try:
        take(to, message)
        return str(message.create_ack("AA"))
    except NotMapped as reason:
        return said(message, "AR", reason)
    except ClinicProblem as reason:
        return said(message, "AE", reason)


def said(message: hl7.Message, code: str, reason: Exception) -> str:
    return f"{str(message.create_ack(code)).strip()}|{message.escape(str(reason))}\r"


def take(to: Clinic, message: hl7.Message) -> None:
    event = text_of(message, "MSH", 9, 2)
    if event in MERGE:
        merge(to, numbers_in(message, "PID", 3), numbers_in(message, "MRG", 1))
    elif event in REGISTER:
        register(to, numbers_in(message, "PID", 3), patient_in(message))
    else:
        raise NotMapped(f"{event} is not mapped.")


def numbers_in(message: hl7.Message, segment: str, field: int) -> list[dict]:
    """CX: the number, who gives it, and what it is. Raises NotMapped where there is none."""
    try:
        repeated = message.segment(segment)(field)
    except (IndexError, KeyError):
        repeated = []
    numbers = [number for each in repeated if (number := number_in(each))["value"] not in ("", NULL)]
    if not numbers:
        raise NotMapped(f"{segment}-{field} holds no number.")
    return numbers


def number_in(each: hl7.Repetition | str) -> dict:
    parts = [str(part) for part in each] if isinstance(each, hl7.Container) else [each]
    value, _check, _scheme, authority, kind = (parts + [""] * 5)[:5]
    return {"system": f"urn:hl7:{authority.partition('&')[0]}", "value": value, "type": KINDS.get(kind, "other")}


def patient_in(message: hl7.Message) -> dict:
    """What the message says of her, and no more."""
    said = {
        "family_name": text_of(message, "PID", 5, 1),
        "given_name": text_of(message, "PID", 5, 2),
        "birth_date": day(text_of(message, "PID", 7)),
        "phone": text_of(message, "PID", 13),
    }
    sex = text_of(message, "PID", 8)
    identity = {name: "" if value == NULL else value for name, value in said.items() if value}
    return {"identity": identity} | ({"sex": SEXES.get(sex, "unknown")} if sex else {})


def day(text: str) -> str:
    """Raises NotMapped for a year or a month alone, without repeating it: it is of a person."""
    if text in ("", NULL):
        return text
    if not re.match(r"\d{8}", text):
        raise NotMapped("PID-7 is no whole date.")
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"


def text_of(message: hl7.Message, segment: str, field: int, component: int = 1) -> str:
    """Of the first repetition; empty where it is not there."""
    try:
        return str(message.unescape(message.extract_field(segment, 1, field, 1, component)))
    except (IndexError, KeyError):
        return ""


def find(to: Clinic, numbers: list[dict]) -> dict | None:
    """By the first number that somebody has."""
    found = (to.find_patient(each["value"], system=each["system"]) for each in numbers)
    return next((patient for patient in found if patient), None)


def register(to: Clinic, numbers: list[dict], told: dict) -> None:
    patient = find(to, numbers)
    if patient is None:
        to.create("patients/", {"sex": "unknown"} | told | {"identifiers": numbers})
        return
    to.change(f"patients/{patient['id']}/", told)
    known = {(each["system"], each["value"]) for each in patient["identifiers"]}
    for each in numbers:
        if (each["system"], each["value"]) not in known:
            to.create(f"patients/{patient['id']}/identifiers/", each)


def merge(to: Clinic, numbers: list[dict], before: list[dict]) -> None:
    remaining, duplicate = find(to, numbers), find(to, before)
    if duplicate is None:
        return
    if remaining is None:
        raise NotMapped("The record that remains is not known here; send it first.")
    if duplicate["id"] != remaining["id"]:
        to.do(f"patients/{duplicate['id']}/merge/", {"into": remaining["id"]})


def oru(of: Clinic, out: Path, since: int) -> int:
    """A file for each report that was signed or amended after this event; the number to go on from."""
    for event in of.changes(since):
        since = event["number"]
        if event["type"] in SIGNED:
            message = result(of, event)
            waiting = out / f".{since}.hl7"  # so that no engine takes half of one
            waiting.write_text(message, encoding="utf-8")
            waiting.rename(out / f"{since}.hl7")
    return since


def result(of: Clinic, event: dict) -> str:
    report = of.get(f"reports/{event['ids']['signature']}/")
    patient = of.get(f"patients/{report['patient']}/")
    status, at = SIGNED[event["type"]], moment(report["created_at"])
    segments = [
        f"MSH|^~\\&|SKINCLINIC||||{at}||ORU^R01^ORU_R01|{event['id']}|P|2.5.1||||||UNICODE UTF-8",
        person(patient),
        f"OBR|1||{report['id']}|lesion-review^Skin lesion review^{CODES}|||{at}|||||||||||||||{at}||IMG|{status}",
        *observations(of, report, status),
    ]
    return "\r".join(segments) + "\r"


def person(patient: dict) -> str:
    identity, numbers = patient["identity"], patient["identifiers"]
    listed = "~".join(
        f"{escaped(each['value'])}^^^{escaped(each['system'].removeprefix('urn:hl7:'))}^{TYPES[each['type']]}"
        for each in numbers
    )
    name = f"{escaped(identity['family_name'])}^{escaped(identity['given_name'])}"
    born = identity["birth_date"].replace("-", "")
    return f"PID|1||{listed}||{name}||{born}|{BACK.get(patient['sex'], 'U')}"


def observations(of: Clinic, report: dict, status: str) -> Iterator[str]:
    """One OBX for each line of what was signed of each lesion; the lesion is its sub-id."""
    number = 0
    for screening in of.list("screenings/", visit=report["visit"], withdrawn="false"):
        signed = of.get(f"screenings/{screening['id']}/reviews/")
        lesion = of.get(f"lesions/{screening['lesion']}/") if signed else {}
        for line in lines_of(signed[0], lesion) if signed else ():
            number += 1
            code = f"lesion-review^Skin lesion review^{CODES}"
            yield f"OBX|{number}|TX|{code}|{lesion['number']}|{escaped(line)}||||||{status}"


def lines_of(review: dict, lesion: dict) -> Iterator[str]:
    yield f"Lesion {lesion['number']}: {lesion['site']}, {lesion['laterality']}"
    yield f"{'Suspicious' if review['suspicious'] else 'Not suspicious'}: {review['diagnosis']}"
    months = f" in {review['follow_up_months']} months" if review["follow_up_months"] else ""
    yield f"Recommended: {review['recommendation']}{months}"
    yield from filter(None, review["words"].splitlines())
    yield f"Signed by {review['reviewer']}"


def moment(text: str) -> str:
    """As HL7 has it, with the zone."""
    return datetime.fromisoformat(text).strftime("%Y%m%d%H%M%S%z")


def escaped(text: str) -> str:
    return text.translate(ESCAPES)


def main() -> None:
    parser = argparse.ArgumentParser(description="Between HL7 v2 and a skinclinic.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("adt", help="take the message on standard input")
    results = commands.add_parser("oru", help="write signed reports into a folder")
    results.add_argument("out", type=Path)
    results.add_argument("--since", type=int, default=0)
    wanted = parser.parse_args()
    if wanted.command == "adt":
        sys.stdout.write(adt(clinic(), sys.stdin.read()))
    elif not wanted.out.is_dir():
        sys.exit(f"{wanted.out} is no folder.")
    else:
        try:
            print(oru(clinic(), wanted.out, wanted.since))
        except ClinicProblem as problem:
            sys.exit(f"{problem} Start again from the same number.")


if __name__ == "__main__":
    main()
