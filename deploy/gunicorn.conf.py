"""How the web runs: one process, threads, no more memory than that takes. Scale by WEB_CONCURRENCY or more machines."""

import os
from pathlib import Path

bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 1)
worker_class = "gthread"
threads = 8
# An upload of 25 MB over a slow line takes its time; the threads' own limit is the proxy's business.
timeout = 120
graceful_timeout = 15
loglevel = "warning"
# Addresses of pages hold nothing but opaque keys, yet who reads what is the ledger's business, not the log's.
accesslog = None
control_socket_disable = True
# The heartbeat file belongs in memory: on a slow disk a live process looks dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
