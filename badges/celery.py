"""
A Celery app for hosts that have none: ``celery -A badges worker --beat``, with ``DJANGO_SETTINGS_MODULE`` set.

Configured by the host's ``CELERY_`` settings. A host with an app of its own does not import this; its
``autodiscover_tasks`` finds ``badges.tasks``.
"""

from __future__ import annotations

from celery import Celery

app = Celery("badges")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
