"""
Accredible's settings: ``LMS_BADGES_CONFIG["accredible"]``, read when asked.

Where it says nothing, ``BADGES_CONFIG["accredible"]`` of the host's own badges app is read.
"""

from __future__ import annotations

from typing import Any

from badges.common.config import Config
from badges.conf import HOST_SETTING

DEFAULTS: dict[str, Any] = {
    "ACCREDIBLE_BASE_URL": "https://dashboard.accredible.com/",
    "ACCREDIBLE_API_BASE_URL": "https://api.accredible.com/v1/",
    "ACCREDIBLE_SANDBOX_BASE_URL": "https://sandbox.dashboard.accredible.com/",
    "ACCREDIBLE_SANDBOX_API_BASE_URL": "https://sandbox.api.accredible.com/v1/",
    "USE_SANDBOX": False,
    # {slug of an organization: API key}. These need no row in the admin, and are used instead of one.
    "ORGANIZATIONS": {},
    # The header that holds the key. Older installations want "Bearer {key}".
    "authorization": "Token token={key}",
    # How a credential is changed: PATCH, or PUT, as Accredible's reference says.
    "update_method": "PATCH",
    # Whether a retired person's credentials are deleted at Accredible.
    "delete_retired": True,
    "timeout": 10,
    # {slug of an organization: secret}. Webhooks of such an organization have to be signed with it.
    "WEBHOOK_SECRETS": {},
    "webhook_signature_header": "X-Accredible-Signature",
}

config = Config("LMS_BADGES_CONFIG", DEFAULTS, section="accredible", host_setting=HOST_SETTING)
