from uuid import UUID

from skinclinic.events.models import Event, EventType


def publish(event_type: EventType, *, clinic_id: UUID, **ids: UUID | str) -> Event:
    """Say, in the running transaction, that something happened to the things with these ids."""
    return Event.objects.create(
        clinic_id=clinic_id, type=event_type, ids={name: str(value) for name, value in ids.items()}
    )
