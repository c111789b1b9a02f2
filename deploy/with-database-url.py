"""`python deploy/with-database-url.py COMMAND …` for hosts that hand out a database in parts.

Puts DATABASE_HOST, DATABASE_PORT, DATABASE_NAME and DATABASE_PASSWORD together to the DATABASE_URL of the
application's own role, and becomes the command.
"""

import os
import sys
from urllib.parse import quote

try:
    host, port, name, password = (os.environ[f"DATABASE_{part}"] for part in ("HOST", "PORT", "NAME", "PASSWORD"))
except KeyError as missing:
    sys.exit(f"{missing.args[0]} is not set; set it, or set DATABASE_URL and leave this script out.")
os.environ["DATABASE_URL"] = f"postgresql://skinclinic_web:{quote(password, safe='')}@{host}:{port}/{quote(name)}"
if "prepare_database" not in sys.argv:
    # What serves people has no use for the owner's address.
    os.environ.pop("DATABASE_OWNER_URL", None)
os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
