"""URLs of the reference host: the admin, signing in, the health pages, and the URLs of its plugins."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from edx_django_utils.plugins import get_plugin_url_patterns

from service import health, sign_in

urlpatterns = [
    path("admin/", admin.site.urls),
    path("sign-in/", sign_in.SignInView.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("health/live", health.live),
    path("health/ready", health.ready),
    *get_plugin_url_patterns("credentials.djangoapp"),
]
if settings.OIDC_ISSUER:
    urlpatterns.append(path("accounts/", include("allauth.urls")))
