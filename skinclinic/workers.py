"""The roll call: each worker, and the watch, says in the broker that it is there; a page asks who is."""

import contextlib
import json
import time
from dataclasses import dataclass
from functools import lru_cache

import redis
from django.conf import settings
from redis.exceptions import RedisError

ALIVE, REFUSED, WATCH = "skinclinic:worker:", "skinclinic:refused:", "skinclinic:watch"
ALIVE_SECONDS, REFUSED_SECONDS = 20, 24 * 60 * 60
ASKED_EVERY = 3


@dataclass(frozen=True)
class RollCall:
    """workers: the model that each reads with, by host and process. refused: why one did not start, by host.

    watched: whether somebody looks for what asks for people, also while no page is open.
    """

    workers: dict[str, str]
    refused: dict[str, str]
    watched: bool = True


def say_alive(host: str, process: int, model: str) -> None:
    """Good for 20 s. A broker that is away is no reason to stop reading."""
    with contextlib.suppress(RedisError, OSError):  # what is not said counts as absent, which is what the page shows
        pipeline = _broker().pipeline(transaction=False)
        pipeline.set(f"{ALIVE}{host}:{process}", json.dumps(model), ex=ALIVE_SECONDS)
        pipeline.delete(f"{REFUSED}{host}")
        pipeline.execute()


def say_refused(host: str, reason: str) -> None:
    """Good for a day, or until a worker starts on that machine."""
    with contextlib.suppress(RedisError, OSError):
        _broker().set(f"{REFUSED}{host}", json.dumps(reason), ex=REFUSED_SECONDS)


def say_watching(seconds: float) -> None:
    """Good for so long."""
    with contextlib.suppress(RedisError, OSError):
        _broker().set(WATCH, json.dumps(True), px=int(1000 * seconds))


def call_roll() -> RollCall | None:
    """Who is there, or None when the broker cannot be asked."""
    try:
        return RollCall(_found(ALIVE), _found(REFUSED), watched=bool(_broker().exists(WATCH)))
    except (RedisError, OSError):
        return None


def anybody_reads() -> bool:
    """Whether a worker is there. Asked at most every few seconds in each process: pages that wait ask all the time."""
    return _anybody_reads(int(time.monotonic() / ASKED_EVERY))


@lru_cache(maxsize=1)
def _anybody_reads(_moment: int) -> bool:
    roll = call_roll()
    return roll is not None and bool(roll.workers)


def forget_who_reads() -> None:
    """Ask anew at the next question."""
    _anybody_reads.cache_clear()


def _found(prefix: str) -> dict[str, str]:
    keys = sorted(_broker().scan_iter(match=f"{prefix}*", count=1000))
    values = _broker().mget(keys) if keys else []
    return {key.decode()[len(prefix) :]: json.loads(value) for key, value in zip(keys, values, strict=True) if value}


@lru_cache(maxsize=1)
def _broker() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
