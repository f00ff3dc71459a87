"""The host's addresses; those of plugins come last."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from tests.hosts.credentials_like.badges import views as badges
from tests.hosts.credentials_like.credentials import views as credentials

UUID = r"(?P<uuid>[0-9a-f]{32})"

status = ([path("learner_cert_status/", credentials.UserCredentials.as_view(), name="learner_cert_status")], "v1")
api = ([path("v2/credentials/", credentials.UserCredentials.as_view(), name="credentials-list")], "api")
pages = ([re_path(rf"^{UUID}/$", credentials.page, name="render")], "credentials")
webhooks = ([path("credly/webhook/", badges.webhook, name="credly-webhook")], "badges")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/credentials/v1/", include(status, namespace="credentials_api")),
    path("api/", include(api, namespace="api")),
    path("api-docs/", credentials.page, name="api_docs"),
    path("credentials/", include(pages, namespace="credentials")),
    path("health/", credentials.page, name="health"),
]
if settings.BADGES_ENABLED:
    urlpatterns += [path("badges/", include(webhooks, namespace="badges"))]
if settings.HAS_PLUGIN:
    from edx_django_utils.plugins import get_plugin_url_patterns

    urlpatterns += get_plugin_url_patterns(settings.PROJECT_TYPE)
