"""Notifications of Celery workers: the tasks that were sent to a broker in the memory of this process."""

from __future__ import annotations

from typing import Any

from kombu import Connection

BROKER = "memory://"


def use_memory_broker(settings: Any) -> None:
    """Configure an empty broker in memory."""
    settings.CELERY_BROKER_URL = BROKER
    notified_tasks()


def notified_tasks() -> list[str]:
    """Return the names of the tasks that were sent since the last call, in order."""
    names = []
    with Connection(BROKER) as connection, connection.channel() as channel:
        channel.queue_declare("celery", durable=True)
        while message := channel.basic_get("celery", no_ack=True):
            names.append(message.headers["task"])
    return names
