"""A demo clinic: drawn people, drawn photographs, and everything in the states that a real morning has."""

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from ml.drawing import draw_photograph
from patients.codes import BodySite, ConsentDecision, ConsentKind, HistoryItem, Laterality, MapView, Urgency
from patients.models import Lesion, Patient, Visit
from patients.services import add_lesion, note_consent, open_visit, register_patient
from screening.images import PhotographRefused, clean_photograph, file_name
from screening.services.photographs import add_photograph
from skinclinic.accounts.models import Clinic, Membership, Role
from skinclinic.accounts.services import let_in, open_clinic
from skinclinic.audit.acting import Actor, acting

CLINIC = "Demo clinic"
PEOPLE = (
    ("alice@demo.example", "Alice Alder", (Role.CLINICIAN,)),
    ("rita@demo.example", "Rita Rowan", (Role.REVIEWER,)),
    ("ada@demo.example", "Ada Ash", (Role.MANAGER,)),
    ("otto@demo.example", "Otto Oak", (Role.AUDITOR,)),
)
GIVEN = ("Erna", "Josef", "Maria", "Franz", "Anna", "Karl", "Helga", "Peter", "Ingrid", "Walter", "Ruth", "Georg")
FAMILY = (
    "Winter",
    "Berger",
    "Moser",
    "Huber",
    "Lang",
    "Auer",
    "Brunner",
    "Egger",
    "Pichler",
    "Steiner",
    "Fuchs",
    "Wolf",
)
QUESTIONS = (
    "Has grown over the summer. Benign?",
    "New spot, noticed by the partner.",
    "Follow-up of a known nevus.",
    "Bleeds after shaving.",
    "Routine skin check, this one stands out.",
)
MIDDLE = 0.5
# Where on the body map a site lies: view, x (on either side of the middle), y.
PLACES = {
    BodySite.BACK: (MapView.BACK, MIDDLE, 0.30),
    BodySite.CHEST: (MapView.FRONT, MIDDLE, 0.26),
    BodySite.FOREARM: (MapView.FRONT, 0.24, 0.42),
    BodySite.LOWER_LEG: (MapView.FRONT, 0.40, 0.80),
    BodySite.FACE: (MapView.FRONT, MIDDLE, 0.08),
    BodySite.ABDOMEN: (MapView.FRONT, MIDDLE, 0.40),
}
KINDS = ("nevus", "nevus", "nevus", "keratosis", "melanoma", "bcc", "vascular")
PATIENTS = 12


@dataclass(frozen=True)
class SignIn:
    email: str
    name: str
    roles: list[str]
    password: str


def seed_demo(*, photographs: Path | None = None, seed: int = 1) -> Iterator[str | list[SignIn]]:
    """Make the demo clinic, once; yields a sentence for each step, and last the sign-ins (none if it was there).

    `photographs` is a folder of real ones to show instead of the drawn; they go into the database, nowhere else.
    """
    if Clinic.objects.filter(name=CLINIC).exists():
        yield []
        return
    with transaction.atomic():
        clinic = open_clinic(name=CLINIC, time_zone="Europe/Vienna", is_demo=True)
        sign_ins, memberships = let_people_in(clinic)
    yield f"{len(sign_ins)} people"
    pictures = photographs_to_show(photographs, random.Random(seed))  # noqa: S311 (a demo repeats itself)
    draws = random.Random(seed)  # noqa: S311
    clinician = memberships[0].actor()
    for number in range(PATIENTS):
        with acting(clinician):
            seed_patient(clinician, number, draws, pictures)
        yield f"patient {number + 1} of {PATIENTS}"
    yield sign_ins


def let_people_in(clinic: Clinic) -> tuple[list[SignIn], list[Membership]]:
    sign_ins, memberships = [], []
    for email, name, roles in PEOPLE:
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        memberships.append(let_in(clinic=clinic, email=email, full_name=name, password=password, roles=roles))
        sign_ins.append(SignIn(email, name, list(roles), password))
    return sign_ins, memberships


def photographs_to_show(folder: Path | None, draws: random.Random) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of photographs, without end: the folder's in random order, or drawn ones."""
    if folder is not None:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        if not paths:
            raise FileNotFoundError(f"There is no JPEG, PNG or WebP photograph in {folder}.")
        while True:
            path = draws.choice(paths)
            yield path.name, path.read_bytes()
    number = 0
    while True:
        number += 1
        buffer = BytesIO()
        kind = KINDS[number % len(KINDS)]
        blur = 6.0 if number == 9 else 0.0
        draw_photograph(1000 + number, kind=kind, skin_type=1 + number % 3, blur=blur).save(buffer, "JPEG", quality=92)
        yield f"demo-{number:03}.jpg", buffer.getvalue()


def seed_patient(actor: Actor, number: int, draws: random.Random, pictures: Iterator[tuple[str, bytes]]) -> None:
    identity = {
        "given_name": GIVEN[number % len(GIVEN)],
        "family_name": FAMILY[(number * 5) % len(FAMILY)],
        "birth_date": date(1938, 1, 1) + timedelta(days=draws.randrange(60 * 365)),
    }
    patient = register_patient(
        actor=actor,
        identity=identity,
        sex="female" if number % 2 == 0 else "male",
        # Of a few nobody noted it, as in a clinic: the caution that follows is there to be seen.
        skin_type=None if number % 7 == 3 else 1 + number % 3,
        record_number=f"D-{1000 + number}",
    )
    today = timezone.localdate()
    wants_reading = ConsentDecision.REFUSED if number == 4 else ConsentDecision.GIVEN
    note_consent(actor=actor, patient=patient, kind=ConsentKind.PHOTOGRAPH, decision="given", decided_on=today)
    note_consent(actor=actor, patient=patient, kind=ConsentKind.AI_READING, decision=wants_reading, decided_on=today)
    visit = open_visit(
        actor=actor,
        patient=patient,
        question=draws.choice(QUESTIONS),
        history=draws.sample(HistoryItem.values, draws.randrange(3)),
        diameter_mm=draws.randrange(3, 14),
        urgency=draws.choices(Urgency.values, weights=[6, 3, 1])[0],
    )
    for site in draws.sample(list(PLACES), draws.choice((1, 1, 2))):
        lesion = mark_lesion(patient, site, draws)
        photograph_lesion(actor, visit, lesion, pictures)


def mark_lesion(patient: Patient, site: BodySite, draws: random.Random) -> Lesion:
    view, x, y = PLACES[site]
    side = draws.choice(list(Laterality) if x == MIDDLE else [Laterality.LEFT, Laterality.RIGHT])
    offset = {Laterality.LEFT: 1, Laterality.RIGHT: -1, Laterality.MIDLINE: 0}[side] * (abs(x - MIDDLE) or 0.06)
    # Seen from behind, the patient's left is on the left of the map.
    x = MIDDLE + (offset if view == MapView.FRONT else -offset)
    return add_lesion(patient=patient, site=site, laterality=side, view=view, x=x, y=y)


def photograph_lesion(actor: Actor, visit: Visit, lesion: Lesion, pictures: Iterator[tuple[str, bytes]]) -> None:
    """The next of the pictures that is one; a folder may hold others."""
    for name, data in islice(pictures, 100):
        try:
            clean = clean_photograph(BytesIO(data))
        except PhotographRefused:
            continue
        add_photograph(actor=actor, visit=visit, lesion=lesion, clean=clean, original_name=file_name(name))
        return
    raise FileNotFoundError("None of 100 files from the folder is a photograph that can be taken. Name another folder.")
