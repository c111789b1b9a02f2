"""Exit 0 if the web in this container is alive. Names a host that the portal answers to."""

import os
import sys
import urllib.request

hosts = [host.strip() for host in os.environ.get("ALLOWED_HOSTS", "").split(",") if host.strip(" *.")]
request = urllib.request.Request(
    f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/healthz", headers={"Host": hosts[0] if hosts else "localhost"}
)
try:
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        sys.exit(response.status != 200)
except OSError as error:
    sys.exit(f"The portal does not answer: {error}")
