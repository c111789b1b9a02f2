"""The same request many times at one moment, as impatient programs send it."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def meeting(times: int, act: Callable[..., Any]) -> Callable[..., Any]:
    """`act`, after which this many wait for each other."""
    met = threading.Barrier(times)

    def acted(*args: Any, **kwargs: Any) -> Any:
        done = act(*args, **kwargs)
        met.wait(10)
        return done

    return acted


def at_the_same_moment(times: int, act: Callable[[], Any]) -> list[Any]:
    """What each got, in no order."""
    answers, start = list[Any](), threading.Barrier(times)

    def one() -> None:
        try:
            start.wait()
            answers.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
