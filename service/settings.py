"""
Settings of the reference host.

Everything that differs between machines comes from environment variables. Without them the host runs on one machine
with nothing but Python: a SQLite file, no broker, no event bus. At the end of this file ``edx-django-utils`` adds the
settings of the plugin, exactly as in a real host.
"""

import json
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from edx_django_utils.plugins import add_plugins, get_plugin_apps

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("DATA_DIR", BASE_DIR / "var"))

DEBUG = os.environ.get("DEBUG", "") == "1"
SILENCED_SYSTEM_CHECKS: list[str] = []
THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]", "testserver")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", ",".join(THIS_MACHINE)).split(",")
# Documents show this address for years. The default is for one machine only; a public host sets it.
PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000")
# Sessions and stored tokens are only as safe as this key, and everybody can read the default one.
SECRET_KEY = os.environ.get("SECRET_KEY") or "insecure-reference-host-key-for-one-machine-only"
if not os.environ.get("SECRET_KEY") and not {*ALLOWED_HOSTS, urlsplit(PUBLIC_URL).hostname} <= {*THIS_MACHINE, "::1"}:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS or PUBLIC_URL lets other people reach this host, and its SECRET_KEY is the public one. Set "
        "SECRET_KEY to a long random text: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )

if PUBLIC_URL.startswith("https://"):
    # A proxy in front of this host speaks TLS. It has to set or remove the header X-Forwarded-Proto of each request.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(PUBLIC_URL))]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    # The proxy redirects, and other hosts of the domain are not ours to decide about.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
ROOT_URLCONF = "service.urls"
WSGI_APPLICATION = "service.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "openedx_events",  # the stock consume_events, and publishing of the host's own signals
    "service",
    *get_plugin_apps("credentials.djangoapp"),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'badges.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    # A writer waits at BEGIN, so it does not fail in the middle. Readers never wait for writers.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # A file and not memory, because the threads and child processes of a test share it.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(tempfile.gettempdir(), f"badges-test-{os.getpid()}.sqlite3")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    DATABASES["default"].setdefault("OPTIONS", {}).update({"charset": "utf8mb4"})

AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
LANGUAGE_CODE = "en"
LOCALE_PATHS = [Path(__file__).with_name("locale")]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(
    parents=True, exist_ok=True
)  # WhiteNoise warns when the folder is missing; the finders serve without it
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
MEDIA_ROOT = DATA_DIR / "media"  # documents; no web server serves this folder, learners get signed links
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"  # as the real host has it
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "lms_badges:learner-page"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "service.sign_in.EmailBackend"]

# Signing in through an OpenID Connect provider. OIDC_ISSUER is its address, exactly as its configuration shows it. Run
# `migrate` after it was set for the first time.
OIDC_ISSUER = os.environ.get("OIDC_ISSUER", "")
OIDC_NAME = OIDC_ISSUER and os.environ.get("OIDC_NAME", "OpenID Connect")
OIDC_PROVIDER_ID = "oidc"
if OIDC_ISSUER:
    INSTALLED_APPS += [
        "allauth",
        "allauth.account",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
    ]
    MIDDLEWARE.append("allauth.account.middleware.AccountMiddleware")
    ACCOUNT_ADAPTER = "service.openid_connect.AccountAdapter"
    ACCOUNT_EMAIL_VERIFICATION = "none"
    ACCOUNT_LOGIN_METHODS = {"email"}
    ACCOUNT_SIGNUP_FIELDS = ["email", "password1*"]  # nobody chooses a username, which could be that of somebody else
    # The check asks for an address, so that somebody can sign in after signing up. Nobody signs up on allauth's pages,
    # and a provider may tell no address.
    SILENCED_SYSTEM_CHECKS = [*SILENCED_SYSTEM_CHECKS, "account.W001"]
    SOCIALACCOUNT_ADAPTER = "service.openid_connect.SocialAccountAdapter"
    SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "APPS": [
                {
                    "provider_id": OIDC_PROVIDER_ID,
                    "name": OIDC_NAME,
                    "client_id": os.environ.get("OIDC_CLIENT_ID", ""),
                    "secret": os.environ.get("OIDC_CLIENT_SECRET", ""),
                    "settings": {"server_url": OIDC_ISSUER},
                }
            ]
        }
    }

# Behind proxies: in which headers edx-django-utils finds the addresses of clients, whose requests are counted.
if os.environ.get("CLOSEST_CLIENT_IP_FROM_HEADERS"):
    CLOSEST_CLIENT_IP_FROM_HEADERS = json.loads(os.environ["CLOSEST_CLIENT_IP_FROM_HEADERS"])

# A cache that all processes share, so that they count requests together. Without it each process counts on its own.
if os.environ.get("CACHE_URL"):
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["CACHE_URL"]}
    }

# Of the document of all views, which Django's check --deploy makes.
SPECTACULAR_SETTINGS = {
    "ENUM_NAME_OVERRIDES": {
        "CauseKindEnum": "badges.catalog.causes.CauseKind.choices",
        "CredentialStatusEnum": "badges.awarding.models.CredentialStatus.choices",
    }
}

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL")
CELERY_TASK_ALWAYS_EAGER = False

EVENTS_SERVICE_NAME = "credentials"
EVENT_BUS_TOPIC_PREFIX = os.environ.get("EVENT_BUS_TOPIC_PREFIX", "")
if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
    EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = os.environ.get("SCHEMA_REGISTRY_URL")
if os.environ.get("EVENT_BUS_REDIS_CONNECTION_URL"):
    EVENT_BUS_REDIS_CONNECTION_URL = os.environ["EVENT_BUS_REDIS_CONNECTION_URL"]
    EVENT_BUS_REDIS_STREAM_MAX_LEN = int(os.environ.get("EVENT_BUS_REDIS_STREAM_MAX_LEN") or 10_000)

# The bus of this host, "kafka" or "redis". Without EVENT_BUS it is the one that is configured, and Kafka before Redis.
EVENT_BUS = os.environ.get("EVENT_BUS", "")
if not EVENT_BUS and os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
    EVENT_BUS = "kafka"
elif not EVENT_BUS and os.environ.get("EVENT_BUS_REDIS_CONNECTION_URL"):
    EVENT_BUS = "redis"
if EVENT_BUS == "kafka":
    EVENT_BUS_CONSUMER = "edx_event_bus_kafka.KafkaEventConsumer"
    EVENT_BUS_PRODUCER = "edx_event_bus_kafka.create_producer"
elif EVENT_BUS == "redis":
    EVENT_BUS_CONSUMER = "edx_event_bus_redis.RedisEventConsumer"
    EVENT_BUS_PRODUCER = "edx_event_bus_redis.create_producer"
elif EVENT_BUS:
    raise ImproperlyConfigured(f"EVENT_BUS is {EVENT_BUS!r}. Set it to kafka or redis, or remove it.")

# This host stands alone: its users are registered nowhere else.
LMS_BADGES_CONFIG: dict[str, object] = {"flows": {"registration": True}}
if os.environ.get("CREDLY_URL"):
    LMS_BADGES_CONFIG["credly"] = {"CREDLY_API_BASE_URL": os.environ["CREDLY_URL"]}

CREDENTIALS_CONFIG: dict[str, object] = {"public_url": PUBLIC_URL}
if os.environ.get("LMS_URL"):
    CREDENTIALS_CONFIG["lms"] = {
        "url": os.environ["LMS_URL"],
        "client_id": os.environ.get("LMS_CLIENT_ID", ""),
        "client_secret": os.environ.get("LMS_CLIENT_SECRET", ""),
    }

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
}

add_plugins(__name__, "credentials.djangoapp", "production")
