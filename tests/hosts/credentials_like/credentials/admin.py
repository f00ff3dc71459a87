"""The host's credentials in the admin."""

from django.contrib import admin

from tests.hosts.credentials_like.credentials.models import UserCredential, UserGrade

admin.site.register([UserCredential, UserGrade])
