"""Where Credly calls the host's own badges app."""

from django.http import HttpRequest, HttpResponse


def webhook(request: HttpRequest) -> HttpResponse:
    """Accept everything."""
    return HttpResponse(status=204)
