"""How much one client may ask for in a minute, counted in the broker; where that is away, nobody is held back."""

import logging
import time
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

logger = logging.getLogger(__name__)
WINDOW = 60  # seconds
# Of the IETF's draft of RateLimit header fields for HTTP (draft-ietf-httpapi-ratelimit-headers-10).
LIMIT, POLICY = "RateLimit", "RateLimit-Policy"


class ClientLimit(BaseThrottle):
    """A fixed window for each client; what is left of it stands in the answer's `RateLimit`."""

    def allow_request(self, request: Request, view: Any) -> bool:
        quota = settings.API_REQUESTS_A_MINUTE
        self.left, self.seconds = quota, WINDOW
        if request.auth is None or not quota:
            return True
        now = time.time()
        self.seconds = WINDOW - int(now) % WINDOW
        used = count(f"skinclinic:requests:{request.auth.id}:{int(now) // WINDOW}")
        self.left = max(0, quota - used)
        request._request.rate_limit = {  # the middleware puts it into the answer
            POLICY: f'"client";q={quota};w={WINDOW}',
            LIMIT: f'"client";r={self.left};t={self.seconds}',
        }
        return used <= quota

    def wait(self) -> float:
        return self.seconds


def count(key: str) -> int:
    try:
        pipeline = broker().pipeline()
        pipeline.incr(key)
        pipeline.expire(key, 2 * WINDOW)
        return int(pipeline.execute()[0])
    except (RedisError, OSError) as error:
        logger.warning("Requests are not counted: %s", type(error).__name__)
        return 0


@lru_cache(maxsize=1)
def broker() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.2, socket_timeout=0.2)
