"""How the web runs: one process, threads, no more memory than that takes. Scale by WEB_CONCURRENCY or more machines."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from skinclinic import env
from skinclinic.logs import FORMS, logging_settings

bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 1)
worker_class = "gthread"
threads = 8
# An upload of 25 MB over a slow line takes its time; the threads' own limit is the proxy's business.
timeout = 120
graceful_timeout = 15
# Gunicorn names addresses with what was asked for in them; our formatter leaves that out.
logconfig_dict = logging_settings(form=env.choice("LOG_FORMAT", FORMS), process=env.text("PROCESS_NAME", "web"))
# Addresses of pages hold nothing but opaque keys, yet who reads what is the ledger's business, not the log's.
accesslog = None
control_socket_disable = True
# The heartbeat file belongs in memory: on a slow disk a live process looks dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

# The processes tell each other what they have counted by files; they must know where before they start.
counted = "" if "PROMETHEUS_MULTIPROC_DIR" in os.environ else tempfile.mkdtemp(prefix="skinclinic-counted-")
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", counted)


def child_exit(server, worker) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server) -> None:
    if counted:
        shutil.rmtree(counted)
