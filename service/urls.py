"""URLs of the reference host: the admin, signing in, the health pages, and the URLs of its plugins."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView
from edx_django_utils.plugins import get_plugin_url_patterns

from service import health, sign_in

urlpatterns = [
    path("admin/login/", sign_in.instead_of_admin_login),
    path("admin/", admin.site.urls),
    path("sign-in/", sign_in.SignInView.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("health/live", health.live),
    path("health/ready", health.ready),
    *get_plugin_url_patterns("credentials.djangoapp"),
]
if settings.OIDC_ISSUER:
    # Not allauth.urls: on its other pages somebody could add the e-mail address of another person to their account.
    from allauth.account.views import account_inactive
    from allauth.socialaccount.views import login_cancelled, login_error

    from service.openid_connect import no_sign_up

    sign_in_page = RedirectView.as_view(pattern_name="sign-in")
    accounts = [
        path("login/", sign_in_page, name="account_login"),
        path("inactive/", account_inactive, name="account_inactive"),
        path("3rdparty/login/cancelled/", login_cancelled, name="socialaccount_login_cancelled"),
        path("3rdparty/login/error/", login_error, name="socialaccount_login_error"),
        path("3rdparty/signup/", no_sign_up, name="socialaccount_signup"),
        path("", include("allauth.socialaccount.providers.openid_connect.urls")),
    ]
    urlpatterns.append(path("accounts/", include(accounts)))
