"""The reference host, with everything set that REST framework, django-filter and drf-spectacular let a host set."""

from service.settings import *  # noqa: F403

ROOT_URLCONF = "tests.rest_api.hostile_host.urls"
TIME_ZONE = "America/New_York"
LANGUAGE_CODE = "ar"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissions"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.StaticHTMLRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FileUploadParser"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "1/day"},
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tests.rest_api.hostile_host.defaults.Grumpy",
    "DEFAULT_METADATA_CLASS": "rest_framework.metadata.SimpleMetadata",
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_VERSION": None,
    "ALLOWED_VERSIONS": ["9"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 1,
    "DEFAULT_FILTER_BACKENDS": ["rest_framework.filters.SearchFilter"],
    "DEFAULT_SCHEMA_CLASS": "rest_framework.schemas.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tests.rest_api.hostile_host.defaults.teapot",
    "UNAUTHENTICATED_USER": None,
    "NON_FIELD_ERRORS_KEY": "oops",
    "URL_FORMAT_OVERRIDE": "username",
    "DATETIME_FORMAT": "%d.%m.%Y",
    "UNICODE_JSON": False,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "The host's own",
    "OAS_VERSION": "3.0.3",
    "SCHEMA_PATH_PREFIX": "/plugins",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "SCHEMA_PATH_PREFIX_INSERT": "/inserted",
    "PREPROCESSING_HOOKS": ["tests.rest_api.hostile_host.defaults.nothing_left"],
    "SECURITY": [{"hostAuth": []}],
}
