# ruff: noqa: T201 -- a program of the terminal
"""`bin/up` once the packages are there: `python -m skinclinic.embedded`."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from skinclinic.embedded.problems import from_os_error
from skinclinic.embedded.up import PROBLEMS, ROOT, Wishes, manage_running, up


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bin/up",
        description="Start the whole clinic on this machine: Postgres, Valkey, web, worker and beat. The first start "
        "makes a demo clinic and prints its sign-ins; later ones find the data as they were. "
        "With DATABASE_URL and REDIS_URL set, those servers are used instead of ours.",
        epilog="bin/up manage COMMAND … runs one of Django's commands on the clinic that runs here.",
    )
    parser.add_argument("--empty", action="store_true", help="begin with no clinic: a page makes the first one")
    parser.add_argument("--demo", action="store_true", help="make the demo clinic also in a database of your own")
    parser.add_argument("--photos", type=folder, metavar="DIR", help="photographs for the demo, instead of drawn ones")
    parser.add_argument("--restore", type=file, metavar="FILE", help="begin with a back-up; BACKUP_KEY is wanted")
    parser.add_argument("--erasures", type=file, metavar="LIST", help="with --restore: whom to erase again")
    parser.add_argument("--port", type=port, metavar="N", help="the portal's port (else 8000 or the next free one)")
    return parser


def folder(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path}")
    return path


def file(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path}")
    return path


def port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def main(arguments: list[str]) -> int:
    os.umask(0o022)
    try:
        if arguments[:1] == ["manage"]:
            manage_running(arguments[1:])
        asked = parser().parse_args(arguments)
        if (asked.empty or asked.restore) and (asked.demo or asked.photos):
            parser().error("--empty and --restore go with neither --demo nor --photos")
        if asked.erasures and not asked.restore:
            parser().error("--erasures goes with --restore")
        up(Wishes(**vars(asked)), Console(highlight=False))
    except PROBLEMS as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as error:
        print(from_os_error(error, ROOT), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped before everything ran; bin/up starts again where it was.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
