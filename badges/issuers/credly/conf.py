"""
Credly's settings: ``LMS_BADGES_CONFIG["credly"]``, read when asked.

Where it says nothing, ``BADGES_CONFIG["credly"]`` of the host's own badges app is read.
"""

from __future__ import annotations

from typing import Any

from badges.common.config import Config
from badges.conf import HOST_SETTING

DEFAULTS: dict[str, Any] = {
    "CREDLY_BASE_URL": "https://credly.com/",
    "CREDLY_API_BASE_URL": "https://api.credly.com/v1/",
    "CREDLY_SANDBOX_BASE_URL": "https://sandbox.credly.com/",
    "CREDLY_SANDBOX_API_BASE_URL": "https://sandbox-api.credly.com/v1/",
    "USE_SANDBOX": False,
    # {organization uuid: token}. These need no row in the admin, and are used instead of one.
    "ORGANIZATIONS": {},
    # What is sent as last name for a learner with a single name.
    "single_name_last": "-",
    "timeout": 10,
    # Whether webhooks are also taken at badges/credly/webhook/, the address of the host's own badges app, which has no
    # secret. For moving over: give Credly the address that the admin makes, then switch this off.
    "webhook_without_secret": False,
}

config = Config("LMS_BADGES_CONFIG", DEFAULTS, section="credly", host_setting=HOST_SETTING)
