"""Settings of the reference host without the event log, to measure what it costs."""

from service.settings import *  # noqa: F403 -- these are the settings
from service.settings import LMS_BADGES_CONFIG

LMS_BADGES_CONFIG = {**LMS_BADGES_CONFIG, "event_log": {"days": 0, "types": {}}}
