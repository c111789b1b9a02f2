"""`skinclinic`: the command."""

import argparse
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from skinclinic_client.clinic import Clinic
from skinclinic_client.errors import ClinicProblem, Refused, Unreachable
from skinclinic_client.upload import Upload

ABOUT = """\
Where the clinic is and who asks stands in the environment: SKINCLINIC_URL, SKINCLINIC_ID, and SKINCLINIC_SECRET or
SKINCLINIC_SECRET_FILE. A manager makes a system with the rights to read and write patients and screenings at
Clinic, Systems."""
LAYOUT = """\
Photographs lie in DIR as <record number>/<lesion's number>/<file>: JPEG, PNG or WebP. A number that nobody has is told,
and its photographs are left; no patient and no lesion is made. What the clinic has already is not sent again, so the
command can be stopped and started at any time. Nothing in DIR is changed."""
OK, SOME_LEFT, MISUSED, AWAY, STOPPED = 0, 1, 2, 3, 130


def main(argv: list[str] | None = None) -> int:
    wanted = parser().parse_args(argv)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is stopped as Ctrl-C does
    try:
        return int(wanted.run(clinic_of(os.environ), wanted, console))
    except Unreachable as problem:
        console.print(f"{problem} Start again later: what was sent is kept.")
        return AWAY
    except ClinicProblem as problem:
        console.print(str(problem))
        return MISUSED
    except KeyboardInterrupt:
        console.print("Stopped. What was sent is kept; start again to go on.")
        return STOPPED


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    commands = argparse.ArgumentParser(prog="skinclinic", description="Speaks to a skinclinic.", epilog=ABOUT)
    commands.formatter_class = raw
    kinds = commands.add_subparsers(required=True, metavar="COMMAND")
    check = kinds.add_parser("check", help="say whether the clinic answers, and knows this system")
    check.set_defaults(run=run_check)
    upload = kinds.add_parser(
        "upload", help="send a share of photographs", description=LAYOUT, epilog=ABOUT, formatter_class=raw
    )
    upload.add_argument("folder", metavar="DIR", type=folder)
    upload.add_argument("--watch", action="store_true", help="stay, and send what comes")
    upload.add_argument("--every", type=seconds, default=5.0, metavar="SECONDS", help="between two looks (5)")
    upload.add_argument("--system", default="", help="who gives the record numbers, where two systems have the same")
    upload.set_defaults(run=run_upload)
    return commands


def folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return path


def seconds(text: str) -> float:
    found = float(text)
    if not 0.1 <= found <= 3600:
        raise argparse.ArgumentTypeError("between 0.1 and 3600")
    return found


def clinic_of(environment: os._Environ[str]) -> Clinic:
    """Raises Refused."""
    try:
        secret = environment.get("SKINCLINIC_SECRET") or Path(environment["SKINCLINIC_SECRET_FILE"]).read_text().strip()
        return Clinic(environment["SKINCLINIC_URL"], environment["SKINCLINIC_ID"], secret)
    except KeyError as missing:
        raise Refused(400, f"{missing.args[0]} is not set. `skinclinic --help` says what is needed.") from missing
    except OSError as error:
        raise Refused(400, f"SKINCLINIC_SECRET_FILE cannot be read: {error.strerror}.") from error


def run_check(clinic: Clinic, wanted: argparse.Namespace, console: Console) -> int:
    clinic.tries = 1  # somebody sits before it
    for path in ("patients/", "screenings/"):
        clinic.get(path, page_size=1)
    console.print(f"{clinic.url} answers, and knows this system.")
    return OK


def run_upload(clinic: Clinic, wanted: argparse.Namespace, console: Console) -> int:
    upload = Upload(clinic, wanted.folder, console, system=wanted.system)
    try:
        if wanted.watch:
            upload.watch(every=wanted.every)
        else:
            upload.once()
    finally:
        console.print(upload.summary())
    return SOME_LEFT if upload.left else OK


if __name__ == "__main__":
    sys.exit(main())
