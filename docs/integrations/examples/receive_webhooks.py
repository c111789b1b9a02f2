"""Receives a clinic's webhooks: verifies each, takes each once, and answers before it does anything with it.

    pip install standardwebhooks
    WEBHOOK_SECRETS="whsec_…" python receive_webhooks.py 8300 webhooks.db

While a secret is rotated, WEBHOOK_SECRETS may name several, separated by spaces. Something that speaks https stands in
front of it.
"""

import json
import os
import sqlite3
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

SECRETS = os.environ["WEBHOOK_SECRETS"].split()
PORT, KEPT_IN = int(sys.argv[1]), sys.argv[2]
MOST_BYTES = 20_000
TABLE = "CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, message TEXT NOT NULL, done_at TEXT)"


def verified(body: bytes, headers: dict[str, str]) -> dict:
    """Raises WebhookVerificationError where no secret of ours signed it, or its time is off by five minutes."""
    for secret in SECRETS[:-1]:
        try:
            return Webhook(secret).verify(body, headers)
        except WebhookVerificationError:
            continue
    return Webhook(SECRETS[-1]).verify(body, headers)


def keep(key: str, message: dict) -> bool:
    """Whether it is new. A message comes at least once, and keeps its id: what came before is thanked for, no more."""
    with closing(sqlite3.connect(KEPT_IN)) as inbox, inbox:
        row = (key, json.dumps(message))
        return inbox.execute("INSERT OR IGNORE INTO inbox (id, message) VALUES (?, ?)", row).rowcount == 1


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > MOST_BYTES:
            return self.answer(413)
        body = self.rfile.read(length)
        try:
            message = verified(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            return self.answer(400)
        if keep(self.headers["webhook-id"], message):
            # Another process works through the inbox: it asks /api/v1/ for what the ids in `data` stand for.
            print(message["type"], json.dumps(message["data"]), flush=True)
        return self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing of a request goes to a log."""


if __name__ == "__main__":
    with closing(sqlite3.connect(KEPT_IN)) as inbox, inbox:
        inbox.execute(TABLE)
    print(f"Listening on port {PORT}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
