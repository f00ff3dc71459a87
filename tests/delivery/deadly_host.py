"""A host whose own code kills the worker, as running out of memory would, whenever one learner's account is made."""

import os
import signal

from django.db.models.signals import pre_init

from tests.delivery.host import *  # noqa: F403

DEADLY = os.environ["DEADLY_USERNAME"]


def _kill(sender, kwargs, **_):
    if sender.__name__ == "User" and kwargs.get("username") == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)


pre_init.connect(_kill, weak=False)
