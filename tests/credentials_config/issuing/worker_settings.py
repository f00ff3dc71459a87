"""Settings of worker processes that tests start: the reference host, with values from the environment."""

import json
import os

from service.settings import *  # noqa: F403
from service.settings import CREDENTIALS_CONFIG as _OURS
from service.settings import LMS_BADGES_CONFIG as _BADGES

CREDENTIALS_CONFIG = {**_OURS, **json.loads(os.environ["CREDENTIALS_CONFIG"])}
LMS_BADGES_CONFIG = {**_BADGES, "delivery": {"lease_seconds": 60, "batch_size": 3}}
MEDIA_ROOT = os.environ["MEDIA_ROOT"]
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", int(os.environ.get("EMAIL_PORT", "25"))
DEFAULT_FROM_EMAIL = "Certificates <certificates@credentials.test>"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if os.environ.get("STORAGE_SECONDS"):
    STORAGES["default"] = {"BACKEND": "tests.credentials_config.issuing.slow_storage.SlowStorage"}
