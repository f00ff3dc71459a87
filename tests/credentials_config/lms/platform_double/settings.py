"""Settings of the double."""

SECRET_KEY = "double"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "common.djangoapps.student",
    "openedx.core.djangoapps.user_api",
    "completion_aggregator",
    "learning_paths",
]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
