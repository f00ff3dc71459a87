"""Addresses of the reference host: the admin, its health pages, and whatever its plugins bring."""

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
