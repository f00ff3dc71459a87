"""The reference host, with more of ``BADGES_CONFIG`` from the environment: for processes that tests start."""

import json
import os

from service.settings import *  # noqa: F403
from service.settings import BADGES_CONFIG as _OURS

BADGES_CONFIG = {**_OURS, **json.loads(os.environ.get("BADGES_CONFIG", "{}"))}
EVENT_BUS_KAFKA_CONSUMER_CONSECUTIVE_ERRORS_LIMIT = 10_000
