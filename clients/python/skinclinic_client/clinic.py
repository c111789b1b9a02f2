"""A clinic as a program sees it: dicts of the REST API, by its paths."""

import hashlib
import mimetypes
import random
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from uuid import UUID, uuid4, uuid5

import requests

from skinclinic_client.errors import Refused, Unreachable

Dict = dict[str, Any]
# Sent again after a while: too many, or something between us and the clinic is overloaded or away.
TRY_AGAIN = {429, 502, 503, 504}
IN_FLIGHT = "urn:skinclinic:problem:idempotency-key-in-flight"
EARLY = 30  # seconds before its end at which a token is not used any more
OPEN = {"queued", "running"}
OF_PHOTOGRAPHS = UUID("6d1c5a3e-0c4f-5c5e-9a35-6f6b1f5b7d10")  # so that keys of photographs are no other's


class Clinic:
    """`url` as https://clinic.example; id and secret are of a system that a manager made there. Threads may share it.

    Every call raises Refused where the clinic says no, and Unreachable where it did not answer `tries` times.
    """

    def __init__(self, url: str, client_id: str, secret: str, *, timeout: float = 60, tries: int = 6) -> None:
        if not url.startswith(("https://", "http://")):
            raise Refused(400, f"{url} is no address. Write it as https://clinic.example.")
        self.url = url.rstrip("/")
        self.timeout, self.tries = timeout, tries
        # Told of the seconds for which the next try is put off.
        self.on_wait: Callable[[float], None] = lambda seconds: None
        self._pair = client_id, secret
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "skinclinic-client/0.1"
        self._token, self._until, self._lock = "", 0.0, threading.Lock()

    def get(self, path: str, **asked: Any) -> Dict:
        """One thing, or one page: `get(f"screenings/{key}/")`."""
        return self._json("GET", path, params=asked)

    def list(self, path: str, **asked: Any) -> Iterator[Dict]:
        """All of a list, page after page: `list("visits/", patient=key)`."""
        page = self.get(path, **asked)
        yield from page["results"]
        while page["next"]:
            page = self.get(page["next"])
            yield from page["results"]

    def create(self, path: str, body: Dict, *, key: UUID | None = None) -> Dict:
        """Done once, however often it has to be sent. `key`: where it may have been sent before, by another program."""
        return self._json("POST", path, json=body, headers={"Idempotency-Key": str(key or uuid4())})

    def change(self, path: str, body: Dict) -> Dict:
        """Some fields of what is at this path. Refused (412) where somebody else changes it at the same moment."""
        seen = self._send("GET", path)
        return self._json("PATCH", path, json=body, headers={"If-Match": seen.headers["ETag"]})

    def do(self, path: str, body: Dict | None = None) -> Any:
        """What is no create, such as `do(f"screenings/{key}/withdraw/", {"reason": "other"})`: sent once."""
        return self._json("POST", path, json=body or {})

    def find_patient(self, number: str, *, system: str = "") -> Dict | None:
        """Who bears exactly this number. Refused where several do, each in another system's way of counting."""
        wanted = {"value": number} | ({"system": system} if system else {})
        found = self._json("POST", "patients/search/", json={"identifier": wanted}, again=True)
        if len(found) > 1:
            raise Refused(422, "Several patients have this number in different systems. Say which system is meant.")
        return found[0] if found else None

    def upload(
        self,
        photograph: Path | bytes,
        *,
        visit: str,
        lesion: str,
        findings: tuple[str, ...] = (),
        progress: Callable[[int], None] = lambda sent: None,
    ) -> Dict:
        """The screening, which waits to be read. The same photograph of the same lesion is stored once in 24 hours.

        progress: told of the bytes that went out by now, and from 0 again where it has to be sent again.
        """
        data = photograph.read_bytes() if isinstance(photograph, Path) else photograph
        name = photograph.name if isinstance(photograph, Path) else "photograph.jpg"
        kind = mimetypes.guess_type(name)[0] or ""
        return self._json(
            "POST",
            "screenings/",
            params={"visit": visit, "lesion": lesion, "findings": list(findings)},
            body=lambda: Counted(data, progress),
            headers={
                "Content-Type": kind if kind.startswith("image/") else "image/jpeg",
                "Idempotency-Key": str(key_of(data, visit, lesion)),
            },
        )

    def is_here(self, photograph: bytes, *, lesion: str) -> bool:
        """Whether this file was sent before, by whomever, and is not withdrawn."""
        sha256 = hashlib.sha256(photograph).hexdigest()
        return bool(self.get("screenings/", lesion=lesion, upload_sha256=sha256, withdrawn="false")["results"])

    def wait(self, screening: str, *, seconds: float = 120) -> Dict:
        """The screening once it is read or closed unread; as it is where that takes longer."""
        ends, pause = time.monotonic() + seconds, 0.2
        while True:
            told = self.get(f"screenings/{screening}/")
            if told["reading_status"] not in OPEN or time.monotonic() + pause > ends:
                return told
            time.sleep(pause)
            pause = min(pause * 1.5, 5)

    def changes(self, since: int = 0) -> Iterator[Dict]:
        """What happened after the event with this number, until now; keep the last `number` and ask on from there."""
        while found := (page := self.get("changes/", since=since))["results"]:
            yield from found
            since = page["since"]

    def download(self, path: str, into: Path) -> None:
        """Such as `download(f"reports/{key}/pdf/", Path("report.pdf"))`."""
        into.write_bytes(self._send("GET", path).content)

    def _json(self, method: str, path: str, **options: Any) -> Any:
        return self._send(method, path, **options).json()

    def _send(
        self, method: str, path: str, *, body: Callable[[], Any] | None = None, again: bool = False, **options: Any
    ) -> requests.Response:
        """body: makes the body anew for each try. again: it may be sent twice; so may a GET, and what has a key."""
        given = options.pop("headers", {})
        may_repeat = again or method == "GET" or "Idempotency-Key" in given
        tries, tried, has_renewed = self.tries if may_repeat else 1, 0, False
        while True:
            tried += 1
            try:
                headers = given | {"Authorization": f"Bearer {self._bearer()}"}
                answer = self._ask(method, self._place(path), data=body() if body else None, headers=headers, **options)
            except requests.RequestException as error:
                if tried >= tries:
                    raise Unreachable(f"{self.url} cannot be reached: {reason_of(error)}.") from error
                self._pause(tried)
                continue
            if answer.ok:
                self._refuse_elsewhere(answer)
                return answer
            if answer.status_code == 401 and not has_renewed:  # nothing was done, so it is no try
                has_renewed, self._until, tried = True, 0.0, tried - 1
            elif tried < tries and may_be_sent_again(answer):
                self._pause(tried, answer.headers.get("Retry-After", ""))
            else:
                raise refusal(answer)

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response:
        return self._session.request(method, url, timeout=self.timeout, allow_redirects=False, **options)

    def _place(self, path: str) -> str:
        """A page's `next` is a whole address, which must be of this clinic: the token goes with it."""
        whole = urljoin(f"{self.url}/api/v1/", path)
        if not whole.startswith(f"{self.url}/"):
            raise Refused(400, "The address is of another server.")
        return whole

    def _pause(self, tried: int, asked: str = "") -> None:
        seconds = float(asked) if asked.isdecimal() else min(0.5 * 2**tried, 30) * random.uniform(1, 1.2)  # noqa: S311
        self.on_wait(seconds)
        time.sleep(seconds)

    def _bearer(self) -> str:
        with self._lock:
            if time.monotonic() > self._until:
                self._token, lasts = self._fetch_token()
                self._until = time.monotonic() + lasts - EARLY
            return self._token

    def _fetch_token(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        answer = self._ask("POST", f"{self.url}/api/oauth2/token/", data=form, auth=self._pair)
        if answer.status_code in {400, 401}:
            raise Refused(401, "The clinic does not know this system, or its secret is another by now.")
        self._refuse_elsewhere(answer)
        if answer.status_code >= 500 or answer.status_code in TRY_AGAIN:
            answer.raise_for_status()
        try:
            told = answer.json()
            return told["access_token"], float(told["expires_in"])
        except (ValueError, TypeError, KeyError) as error:
            sentence = f"What answers at {self.url} is no skinclinic ({answer.status_code}). Is the address right?"
            raise Unreachable(sentence) from error

    def _refuse_elsewhere(self, answer: requests.Response) -> None:
        """The secret and the token are for this address alone."""
        if answer.is_redirect:
            place = answer.headers["Location"]
            raise Unreachable(f"{self.url} leads on to {place}. Give the address at which the clinic itself answers.")


class Counted(BytesIO):
    """A body that tells how much of it went out."""

    def __init__(self, data: bytes, progress: Callable[[int], None]) -> None:
        super().__init__(data)
        self.progress = progress

    def __len__(self) -> int:
        return len(self.getbuffer())

    def read(self, size: int | None = -1) -> bytes:
        chunk = super().read(size)
        self.progress(self.tell())
        return chunk


def key_of(photograph: bytes, visit: str, lesion: str) -> UUID:
    return uuid5(OF_PHOTOGRAPHS, f"{visit} {lesion} {hashlib.sha256(photograph).hexdigest()}")


def may_be_sent_again(answer: requests.Response) -> bool:
    return answer.status_code in TRY_AGAIN or (answer.status_code == 409 and refusal(answer).kind == IN_FLIGHT)


def refusal(answer: requests.Response) -> Refused:
    try:
        return Refused.of(answer.status_code, answer.json())
    except ValueError:
        return Refused.of(answer.status_code, None)


def reason_of(error: requests.RequestException) -> str:
    """In a word: what requests says names every layer that it went through."""
    match error:
        case requests.exceptions.SSLError():
            return "its certificate is not trusted here"
        case requests.Timeout():
            return "it does not answer in time"
        case requests.HTTPError(response=answer) if answer is not None:
            return f"it answers {answer.status_code}"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
