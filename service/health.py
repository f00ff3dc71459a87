"""Health pages: ``live`` for a process manager that restarts the host, ``ready`` for a load balancer."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the process runs; the database is not used."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers and all migrations are applied, else 503 with the reason."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
    if pending:
        return JsonResponse({"status": "unavailable", "database": "run manage.py migrate"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})
