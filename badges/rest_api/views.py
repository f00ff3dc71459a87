"""What all our views share: the frame, and what is our own in it."""

from __future__ import annotations

from typing import Any

from badges.conf import config
from badges.frame import door
from badges.rest_api.openapi import Schema


class PerUser(door.PerUser):
    """The limit is ``BADGES_CONFIG["rest_api"]["requests_per_minute"]``."""

    config = config
    scope = "lms_badges"


class Door(door.Door):
    """A view of ours. Subclasses say what they answer."""

    config = config
    realm = "badges"
    http_method_names = ["get", "head"]
    throttle_classes: list[Any] = [PerUser]
    schema = Schema()
