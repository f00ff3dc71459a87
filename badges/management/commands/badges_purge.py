"""Delete old payloads, events and outbox rows."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from badges import tasks
from badges.conf import config


class Command(BaseCommand):
    """The ``badges.purge`` task, for hosts without Celery beat."""

    help = (
        "Clear the payloads of events that were decided long ago (payload_days). Delete those events (event_days), "
        "events that were logged long ago (event_log), penalties of people without a learner (penalty_days), "
        "outbox rows that were delivered long ago (delivery.keep_days), "
        "runs that were closed long ago (runs.keep_days), and answers to requests with an Idempotency-Key that are "
        "older than a day. Clear references to accounts and periodic tasks that were deleted while the plugin was not "
        "installed. Dead letters stay. Run it once a day."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        gone = tasks.delete_old_data()
        self.stdout.write(
            f"Cleared the payloads of {gone.payloads} events older than {config.payload_days} days, "
            f"{gone.events} events decided too long ago (event_days: {config.event_days}), "
            f"{gone.logged} logged events (event_log.days: {config.event_log['days']}), "
            f"{gone.penalties} penalties of people without a learner (penalty_days: {config.penalty_days}), "
            f"{gone.delivered} outbox rows delivered more than {config.delivery['keep_days']} days ago, "
            f"and {gone.references} references to rows that the host deleted."
        )
        self.stdout.write(
            f"Deleted {gone.runs} runs closed more than {config.runs['keep_days']} days ago, "
            f"and {gone.answers} answers to requests with an Idempotency-Key from more than a day ago."
        )
