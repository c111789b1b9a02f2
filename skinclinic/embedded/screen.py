"""What `bin/up` says once everything runs: one screen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

RESEARCH_USE = "For research and education: not a medical device, never a diagnosis by itself."
DEMO = "This is a demo clinic with invented patients. Do not enter real people."


@dataclass(frozen=True)
class Running:
    """What there is to say."""

    url: str
    parts: Sequence[tuple[str, str]]
    logs: Path
    mail: Path
    demo: bool = False
    empty: bool = False
    sign_ins: Sequence[dict[str, Any]] = field(default_factory=list)


def show(running: Running, console: Console) -> None:
    rows = Table.grid(padding=(0, 2))
    for name, where in running.parts:
        rows.add_row(Text(name, style="bold"), Text(where, overflow="fold"))
    rows.add_row(Text("logs", style="bold"), Text(str(running.logs), overflow="fold"))
    rows.add_row(Text("mail", style="bold"), Text(str(running.mail), overflow="fold"))
    lines: list[Any] = [Text(running.url, style="bold underline"), Text(), rows]
    if running.demo:
        lines += [Text(), Text(DEMO, style="bold yellow")]
    if running.sign_ins:
        lines += [Text(), sign_in_table(running.sign_ins)]
    if running.empty:
        lines += [Text(), Text("There is no clinic yet: open the address above to make the first one.")]
    lines += [Text(), Text(RESEARCH_USE), Text("Ctrl-C ends everything; the data stay.", style="bold")]
    console.print(Panel(Group(*lines), title="skinclinic", title_align="left", expand=False))


def sign_in_table(sign_ins: Sequence[dict[str, Any]]) -> Table:
    table = Table("sign in as", "password", "role", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for person in sign_ins:
        roles = person.get("roles") or person.get("role") or ""
        table.add_row(
            Text(str(person.get("email", "")), overflow="fold"),
            Text(str(person.get("password", "")), overflow="fold"),
            Text(", ".join(roles) if isinstance(roles, list) else str(roles)),
        )
    return table
