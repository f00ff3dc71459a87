"""
Settings of the host. The plugin is found and asked as in the credentials service: by its entry points, twice, the first
time before the settings of the host's own badges app are read.
"""

import os
import tempfile
from pathlib import Path

import dj_database_url
from edx_django_utils.plugins import add_plugins, get_plugin_apps

PROJECT_TYPE = "credentials.djangoapp"
HAS_PLUGIN = os.environ.get("WITHOUT_PLUGIN") != "1"
HERE = Path(__file__).resolve().parent

SECRET_KEY = "insecure-secret-key-of-a-test-host"
ALLOWED_HOSTS = ["*"]
SITE_ID = 1
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.sites",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "openedx_events",
    "tests.hosts.credentials_like.core",
    "tests.hosts.credentials_like.credentials",
    "tests.hosts.credentials_like.badges",
]
MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.contrib.sites.middleware.CurrentSiteMiddleware",
)
ROOT_URLCONF = "tests.hosts.credentials_like.urls"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    DATABASES["default"].setdefault("OPTIONS", {})["charset"] = "utf8mb4"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
AUTH_USER_MODEL = "core.User"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
MEDIA_ROOT = os.environ.get("MEDIA_ROOT", str(Path(tempfile.gettempdir(), "badges-test-host-media")))
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
STATICFILES_DIRS = (str(HERE / "static"),)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "DIRS": (str(HERE / "templates"),),
        "OPTIONS": {
            "context_processors": (
                "django.contrib.auth.context_processors.auth",
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
            ),
        },
    },
]
LOGIN_URL = "/login/"
SESSION_COOKIE_NAME = "credentials_sessionid"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ("rest_framework.authentication.SessionAuthentication",),
    "DEFAULT_FILTER_BACKENDS": ("django_filters.rest_framework.DjangoFilterBackend",),
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "DEFAULT_PERMISSION_CLASSES": ("rest_framework.permissions.DjangoModelPermissions",),
    "PAGE_SIZE": 20,
    "EXCEPTION_HANDLER": "tests.hosts.credentials_like.credentials.views.throttle_handler",
}

if HAS_PLUGIN:
    INSTALLED_APPS.extend(get_plugin_apps(PROJECT_TYPE))
    add_plugins(__name__, PROJECT_TYPE, "base")

BADGES_ENABLED = os.environ.get("BADGES_ENABLED") == "1"
LMS_BADGES_CONFIG = {
    "events": [
        "org.openedx.learning.course.passing.status.updated.v1",
        "org.openedx.learning.ccx.course.passing.status.updated.v1",
    ],
    "credly": {
        "CREDLY_BASE_URL": "https://credly.example.org/",
        "CREDLY_API_BASE_URL": "https://api.credly.example.org/v1/",
        "CREDLY_SANDBOX_BASE_URL": "https://sandbox.credly.example.org/",
        "CREDLY_SANDBOX_API_BASE_URL": "https://sandbox-api.credly.example.org/v1/",
        "USE_SANDBOX": False,
    },
    "accredible": {
        "ACCREDIBLE_BASE_URL": "https://dashboard.accredible.example.org/",
        "ACCREDIBLE_API_BASE_URL": "https://api.accredible.example.org/v1/",
        "ACCREDIBLE_SANDBOX_BASE_URL": "https://sandbox.dashboard.accredible.example.org/",
        "ACCREDIBLE_SANDBOX_API_BASE_URL": "https://sandbox.api.accredible.example.org/v1/",
        "USE_SANDBOX": False,
    },
    "rules": {"ignored_keypaths": ["user.id", "user.pii.username"]},
}
EVENT_BUS_PRODUCER_CONFIG = {
    "org.openedx.learning.badge.awarded.v1": {
        "learning-badges-lifecycle": {"event_key_field": "badge.uuid", "enabled": BADGES_ENABLED},
    },
}

if HAS_PLUGIN:
    add_plugins(__name__, PROJECT_TYPE, "production")
