"""
Notifying a worker: a Celery task, sent by its name.

Only the database row decides what is done, so a notification may get lost. But it must not delay the caller: there is
one short attempt, no retry, and after a failure no attempt for a while. The sweep finds rows without a notification.
"""

from __future__ import annotations

import functools
import logging
import time

from celery import Celery, current_app
from django.conf import settings
from django.core.signals import setting_changed
from django.db import transaction
from django.dispatch import receiver
from kombu.exceptions import KombuError

from badges.conf import config

log = logging.getLogger(__name__)

DELIVER = "badges.deliver"
PROCESS_PENDING = "badges.process_pending"
CARRY_OUT_RUNS = "badges.carry_out_runs"

CONNECT_SECONDS = 1.0
PAUSE_SECONDS = 30.0

# Until when (time.monotonic) this process does not try a broker that did not answer.
_paused_until = 0.0


def notify_worker_on_commit(task: str = DELIVER) -> None:
    """Notify a worker when the transaction commits: once, however often this is called in it."""
    connection = transaction.get_connection()
    for _savepoints, function, *_rest in connection.run_on_commit:
        if isinstance(function, _Notification) and function.task == task:
            return  # it fires no later than a second one would, and is undone only together with it
    connection.on_commit(_Notification(task), robust=True)


def notify_worker(task: str = DELIVER) -> None:
    """Send the task by name, if the host has a broker and it answers at once."""
    if not is_wanted() or time.monotonic() < _paused_until:
        return
    app = _app()
    if app.conf.task_always_eager:
        _pause("tasks run eagerly here, and delivery must not run inside of a decision")
        return
    try:
        _send(app, task)
    except (OSError, KombuError) as error:
        _pause(f"the broker does not answer ({type(error).__name__})")
    except (KeyError, ValueError, ImportError) as error:
        _pause(f"CELERY_BROKER_URL cannot be used ({type(error).__name__}: {error})")


def is_wanted() -> bool:
    """Say whether workers are notified here: when settings say so, or else when the host has a broker."""
    wanted = config.delivery["notify_workers"]
    return bool(getattr(settings, "CELERY_BROKER_URL", None)) if wanted is None else bool(wanted)


class _Notification:
    """What ``on_commit`` calls; an object of its own class, so that a second one can see the first."""

    def __init__(self, task: str):
        self.task = task

    def __call__(self) -> None:
        notify_worker(self.task)


def _send(app: Celery, task: str) -> None:
    """Send over a connection of its own: the pool's would wait and retry as the host's settings say."""
    short_timeouts = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": CONNECT_SECONDS, "max_retries": 0}
    with app.connection_for_write(connect_timeout=CONNECT_SECONDS, transport_options=short_timeouts) as connection:
        app.send_task(task, connection=connection, retry=False, ignore_result=True)


def _pause(reason: str) -> None:
    global _paused_until
    _paused_until = time.monotonic() + PAUSE_SECONDS
    log.warning(
        "No worker was notified: %s. Nothing is lost: the sweep delivers it, or badges_drain. Next try in %.0f s.",
        reason,
        PAUSE_SECONDS,
    )


def _app() -> Celery:
    """Return the host's Celery app if this process has one, else one made of the host's ``CELERY_`` settings."""
    # Without an app of the host's, Celery's own stand-in answers; it knows nothing of Django's settings.
    return _own_app() if current_app.main == "default" else current_app._get_current_object()


@functools.cache
def _own_app() -> Celery:
    app = Celery("badges-notify", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app


@receiver(setting_changed)
def _clear_broker(*, setting: str, **_changed: object) -> None:
    """Drop what is known of a broker that a test replaces."""
    global _paused_until
    if setting.startswith("CELERY_"):
        _own_app.cache_clear()
        _paused_until = 0.0
