"""Who gives the badges of this site, as pages and links show it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from badges.conf import config


@dataclass(frozen=True, slots=True)
class SiteIssuer:
    """The name and the address of the organization that runs this site. ``url`` may be empty."""

    name: str
    url: str


def issuer_of(request: HttpRequest) -> SiteIssuer:
    """Return the issuer that the settings name; without a name, that of the host that was asked."""
    pages = config.pages
    return SiteIssuer(str(pages["issuer_name"]) or request.get_host(), str(pages["issuer_url"]))
