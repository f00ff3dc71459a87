"""The reference host for processes of tests: more of ``LMS_BADGES_CONFIG`` from the environment, and the bus's app."""

import json
import os

from service.settings import *  # noqa: F403
from service.settings import INSTALLED_APPS as _SERVICE_APPS
from service.settings import LMS_BADGES_CONFIG as _SERVICE_CONFIG

LMS_BADGES_CONFIG = {**_SERVICE_CONFIG, **json.loads(os.environ.get("LMS_BADGES_CONFIG", "{}"))}
# It brings the bus's own command, consume_events.
INSTALLED_APPS = _SERVICE_APPS if "openedx_events" in _SERVICE_APPS else [*_SERVICE_APPS, "openedx_events"]
