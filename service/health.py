"""Health pages for whoever restarts the host (``live``) and whoever sends it traffic (``ready``)."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Say that the process answers; asks nothing of anybody else."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether the database answers and its tables are those of this code: 200, else 503 with the reason."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
    if pending:
        return JsonResponse({"status": "unavailable", "database": "run manage.py migrate"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})
