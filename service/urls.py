"""URLs of the reference host: the admin, the health pages, and the URLs of its plugins."""

from django.contrib import admin
from django.urls import path
from edx_django_utils.plugins import get_plugin_url_patterns

from service import health

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    *get_plugin_url_patterns("credentials.djangoapp"),
]
