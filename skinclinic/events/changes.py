"""What happened in a clinic, in an order in which nothing is ever put in before what was read.

The keys of events come from a sequence, so one that is committed late has a small one. Events are therefore numbered
when somebody asks for them, one asker at a time: what is not to be seen yet gets its number later.
"""

from uuid import UUID

from django.db import connection

from skinclinic.audit.acting import Actor
from skinclinic.events.models import Event

NUMBERED_AT_ONCE = 5000


def changes_since(*, actor: Actor, number: int, most: int) -> list[Event]:
    """At most `most` events after the one of this number, the oldest first. Runs in a transaction of the clinic."""
    number_events(actor.own_clinic())
    return list(Event.objects.filter(clinic=actor.own_clinic(), number__gt=number).order_by("number")[:most])


def number_events(clinic_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"events {clinic_id}"])
        cursor.execute(
            """
            UPDATE events_event SET number = numbered.number FROM (
                SELECT id, row_number() OVER (ORDER BY id)
                    + (SELECT coalesce(max(number), 0) FROM events_event WHERE clinic_id = %(clinic)s) AS number
                FROM (SELECT id FROM events_event WHERE clinic_id = %(clinic)s AND number IS NULL
                      ORDER BY id LIMIT %(most)s) waiting
            ) numbered WHERE events_event.id = numbered.id
            """,
            {"clinic": str(clinic_id), "most": NUMBERED_AT_ONCE},
        )
