"""Which workers were notified: tasks that arrived at a broker in this process' memory."""

from __future__ import annotations

from typing import Any

from kombu import Connection

BROKER = "memory://"


def use_memory_broker(settings: Any) -> None:
    """Lead the settings to an empty broker in memory."""
    settings.CELERY_BROKER_URL = BROKER
    notified_tasks()


def notified_tasks() -> list[str]:
    """Return the names of the tasks that arrived since this was asked last, in order."""
    names = []
    with Connection(BROKER) as connection, connection.channel() as channel:
        channel.queue_declare("celery", durable=True)
        while message := channel.basic_get("celery", no_ack=True):
            names.append(message.headers["task"])
    return names
