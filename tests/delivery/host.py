"""The reference host in a hurry: for worker processes that tests start."""

import os

from tests.support.host_settings import *  # noqa: F403

if os.environ.get("SWEEP_SECONDS"):
    CELERY_BEAT_SCHEDULE = {"badges-sweep": {"task": "badges.sweep", "schedule": float(os.environ["SWEEP_SECONDS"])}}
