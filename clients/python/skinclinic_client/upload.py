"""A share sent once, or watched: what is on the screen meanwhile, and what is tried again."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from skinclinic_client.clinic import Clinic
from skinclinic_client.errors import Refused, Unreachable
from skinclinic_client.share import Found, Left, Share, photographs_in

# Of the whole system, so that every other photograph would be refused as well.
OF_ALL = {401, 403}
AGAIN_AFTER = 60  # seconds, for what waits for somebody to register a patient or mark a lesion


class Upload:
    """`left`: why each file was not sent, by where it lies."""

    def __init__(self, clinic: Clinic, folder: Path, console: Console, *, system: str = "") -> None:
        self.clinic, self.folder, self.console = clinic, folder, console
        self.share = Share(clinic, system=system)
        self.sent, self.here = 0, 0
        self.left: dict[Path, str] = {}
        self.told_away = ""

    def once(self) -> None:
        """Raises Unreachable, and Refused where the system may not do this at all."""
        found = list(photographs_in(self.folder))
        if not found:
            self.console.print(f"There are no photographs in {self.folder}.")
            return
        self.send_all(found)

    def watch(self, *, every: float) -> None:
        """Until it is stopped. A file is sent once it looks the same twice. Raises Refused, as `once` does."""
        self.console.print(f"Watching {self.folder}. Stop with Ctrl-C.")
        before: set[Found] = set()
        done: dict[Found, float] = {}  # and when it may be tried again
        while True:
            found = self.look()
            ready = [each for each in found if each in before and done.get(each, 0.0) <= time.monotonic()]
            try:
                if ready:
                    self.send_all(ready, done)
            except Unreachable as problem:
                self.console.print(f"{problem} Waiting.")
            before = set(found)
            done = {each: until for each, until in done.items() if each in before}
            time.sleep(every)

    def look(self) -> list[Found]:
        """Nothing while the share is away: it comes back, and a service that ended would not."""
        try:
            found = list(photographs_in(self.folder))
        except OSError as error:
            self.tell_away(f"{self.folder} cannot be read: {error.strerror}. Waiting.")
            return []
        self.told_away = ""
        return found

    def tell_away(self, sentence: str) -> None:
        """Once, however long it lasts."""
        if self.told_away != sentence:
            self.console.print(sentence, markup=False)
        self.told_away = sentence

    def send_all(self, found: list[Found], done: dict[Found, float] | None = None) -> None:
        with self.progress() as bar:
            whole = bar.add_task("", total=sum(each.size for each in found))
            self.clinic.on_wait = lambda seconds: bar.update(
                whole, description=f"waiting {seconds:.0f} s for the clinic"
            )
            began = 0
            for number, each in enumerate(found):
                self.tell_now_and_then(number, len(found))
                bar.update(whole, description=each.named)
                again = self.send(each, self.teller(bar, whole, began))
                began += each.size
                bar.update(whole, completed=began)
                if done is not None:
                    done[each] = again

    def teller(self, bar: Progress, whole: TaskID, began: int) -> Callable[[int], None]:
        return lambda sent: bar.update(whole, completed=began + sent)

    def tell_now_and_then(self, number: int, whole: int) -> None:
        """For a log, where no bar can be drawn."""
        if number and number % 100 == 0 and not self.console.is_terminal:
            self.console.print(f"{number} of {whole}")

    def progress(self) -> Progress:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    def send(self, each: Found, progress: Callable[[int], None]) -> float:
        """When it may be tried again, where nothing of it changes before."""
        try:
            is_new = self.share.send(each, progress)
        except Left as reason:
            self.leave(each, str(reason))
            return time.monotonic() + AGAIN_AFTER
        except Refused as refusal:
            if refusal.status in OF_ALL:
                raise
            self.leave(each, str(refusal))
            return float("inf")
        self.left.pop(each.path, None)
        self.sent, self.here = self.sent + is_new, self.here + (not is_new)
        return float("inf")

    def leave(self, each: Found, reason: str) -> None:
        """Told once, however often it is tried."""
        if self.left.get(each.path) != reason:
            self.console.print(f"{each.named}: {reason}", markup=False)
        self.left[each.path] = reason

    def summary(self) -> str:
        told = [f"{self.sent} sent"]
        if self.here:
            told.append(f"{self.here} were there already")
        if self.left:
            told.append(f"{len(self.left)} left")
        return ", ".join(told) + "."
