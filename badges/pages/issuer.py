"""Who gives the badges of this site, as pages and links show it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.http import HttpRequest

from badges.conf import config
from badges.pages.addresses import public_url


@dataclass(frozen=True, slots=True)
class SiteIssuer:
    """The name and the address of the organization that runs this site. ``url`` may be empty."""

    name: str
    url: str


def issuer_of(request: HttpRequest) -> SiteIssuer:
    """Return the issuer that the settings name; without a name, that of this host."""
    pages = config.pages
    name = str(pages["issuer_name"]) or urlsplit(public_url(request)).netloc
    return SiteIssuer(name, str(pages["issuer_url"]))
