"""A host whose own code kills the worker, as running out of memory would, whenever one learner's row is looked at."""

import os
import signal

from django.db.models.signals import pre_init

from tests.delivery.host import *  # noqa: F403

DEADLY = int(os.environ["DEADLY_LEARNER"])


def _kill(sender, kwargs, **_):
    if sender.__name__ == "Learner" and kwargs.get("lms_user_id") == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)


pre_init.connect(_kill, weak=False)
