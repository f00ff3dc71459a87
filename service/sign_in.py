"""
Signing in at the reference host, for everybody: with a username or an e-mail address, and a password.

Requests are counted for each client address, so that passwords cannot be tried fast.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from badges.common.client_limits import seconds_to_wait
from badges.flows.account_creation import normal_form

ATTEMPTS_PER_MINUTE = 20


class EmailBackend(ModelBackend):
    """
    Finds the account by its e-mail address and its password. Accounts registered by REST have no name.

    Addresses are compared as at registration. When several accounts have the address, the password says which one; if
    it is that of several, none is found.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **credentials: Any
    ) -> Any:
        if not username or not password or "@" not in username or "\0" in username:
            return None
        User: Any = get_user_model()
        address = normal_form(username)
        similar = User._default_manager.filter(Q(email__iexact=username) | Q(email__iexact=address))
        # A database may equate more than the case, such as accents.
        same = [user for user in similar if normal_form(user.email) == address]
        if not same:
            User().set_password(password)  # as long as it takes for an account that exists
        found = [user for user in same if self.user_can_authenticate(user) and user.check_password(password)]
        return found[0] if len(found) == 1 else None


class SignInView(LoginView):
    """The sign-in page. With the setting ``OIDC_NAME`` it has a button for signing in there."""

    template_name = "service/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if wait := seconds_to_wait(request, scope="service:sign-in", limit=ATTEMPTS_PER_MINUTE):
            text = _("Too many attempts. Try again in a minute.")
            headers = {"Retry-After": str(wait)}
            return HttpResponse(text, status=HTTPStatus.TOO_MANY_REQUESTS, content_type="text/plain", headers=headers)
        return super().post(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if settings.OIDC_NAME:
            context["issuer_name"] = settings.OIDC_NAME
            context["issuer_address"] = reverse("openid_connect_login", args=[settings.OIDC_PROVIDER_ID])
        return context


def instead_of_admin_login(request: HttpRequest) -> HttpResponse:
    """
    Redirect from the sign-in page of the admin, which has no limit, to the one that has.

    Raises PermissionDenied for accounts that may not use the admin.
    """
    if admin.site.has_permission(request):
        return redirect("admin:index")
    if request.user.is_authenticated:  # the sign-in page would send them back
        raise PermissionDenied
    query = request.GET.urlencode(safe="/")
    return redirect(f"{reverse('sign-in')}?{query}" if query else "sign-in")
