"""
The database that the tests run on, and fixtures for real servers and processes.

``pytest --db postgresql`` chooses the database before Django reads its settings. The server starts when the first test
needs it. Each fixture that is named after a service starts the real service, once for each test process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from django.core.cache import cache
from selenium.webdriver import Chrome

from tests.services import ALL, Kafka, MariaDB, PostgreSQL, Redis, S3Proxy, SchemaRegistry, Service, ServiceUnavailable
from tests.services.chromium import NAME as CHROMIUM
from tests.services.chromium import start_browser
from tests.services.databases import chosen_database, test_database_url
from tests.services.processes import Process, manage, python_process
from tests.support.examples import FEW

if TYPE_CHECKING:
    from tests.support.event_bus import Bus, BusOnKafka, BusOnRedis
    from tests.support.flush import Flush

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("any machine", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("any machine")
hypothesis.settings.register_profile(FEW, deadline=None, max_examples=20)

LEFT_OUT = "LEFT OUT by choice"
# A test that uses one of these starts a server or a process, and is marked as `live`.
LIVE_FIXTURES = {
    *("kafka", "schema_registry", "postgresql", "mariadb", "redis", "s3proxy", "database_server"),
    *("run_manage", "run_celery", "browser", "bus"),
}

services_key = pytest.StashKey[dict[str, Service]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("services")
    group.addoption(
        "--db",
        choices=["sqlite", "postgresql", "mariadb"],
        default="sqlite",
        help="The database that the tests run on; servers are started as needed. Default: a SQLite file.",
    )
    group.addoption(
        "--without",
        action="append",
        default=[],
        choices=[*ALL, CHROMIUM],
        help="Leave out the tests that need this service. They are reported as skipped at the end.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell Django which database to use. pytest-django reads the settings after this."""
    config.stash[services_key] = {}
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: settings must not be read before --db is.")
    os.environ["DATABASE_URL"] = chosen_database(config.option.db, lambda name: _service(config, name))
    os.environ["DJANGO_SETTINGS_MODULE"] = "service.settings"
    # A test sets one of these itself when it needs it; the environment of the test run must not set them.
    names = (
        "CELERY_BROKER_URL",
        "CACHE_URL",
        "EVENT_BUS",
        "EVENT_BUS_REDIS_CONNECTION_URL",
        "KAFKA_BOOTSTRAP_SERVERS",
        "SCHEMA_REGISTRY_URL",
        "CREDLY_URL",
        "DEBUG",
        "OIDC_ISSUER",
    )
    for name in names:
        os.environ.pop(name, None)
    from django.conf import settings  # noqa: PLC0415 -- the environment is complete only now

    assert settings.DATABASES
    # What costs time and is not what a test is about: hashes of passwords are slow by intention, and each test client
    # would look at all static files before its first request.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True
    if config.getoption("numprocesses", None):
        # With xdist every test process has its own servers, and must not read settings before it has named them.
        del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure(config: pytest.Config) -> None:
    for service in config.stash.get(services_key, {}).values():
        service.close()


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the live tests."""
    if config.option.db == "sqlite":
        # Nothing is left out: SQLite has no server that could be stopped.
        pointless = [item for item in items if "database_server" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=pointless)
        items[:] = [item for item in items if item not in pointless]
    for item in items:
        if LIVE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report clearly what was left out, because it was not tested."""
    skipped = terminalreporter.stats.get("skipped", [])
    left_out = [report for report in skipped if LEFT_OUT in str(report.longrepr)]
    if left_out:
        names = sorted({str(report.longrepr[2]).partition(LEFT_OUT)[2].strip(": ") for report in left_out})
        terminalreporter.write_sep(
            "!", f"{LEFT_OUT}: {', '.join(names)} -- {len(left_out)} tests did not run", red=True
        )


# The servers


def _service(config: pytest.Config, name: str) -> Service:
    """Return the one service of that name in this test process. It may not be started yet."""
    services = config.stash[services_key]
    if name not in services:
        services[name] = ALL[name]()
    return services[name]


def _started(config: pytest.Config, name: str) -> Service:
    if name in config.option.without:
        pytest.skip(f"{LEFT_OUT}: {name}")
    try:
        return _service(config, name).start()
    except ServiceUnavailable as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def kafka(pytestconfig: pytest.Config) -> Kafka:
    """Start the Kafka broker, unless it runs. A test that stopped it need not start it again."""
    return _started(pytestconfig, "kafka")


@pytest.fixture
def schema_registry(pytestconfig: pytest.Config) -> SchemaRegistry:
    """Start the schema registry, unless it runs."""
    return _started(pytestconfig, "schema_registry")


@pytest.fixture
def kafka_bus(kafka: Kafka, schema_registry: SchemaRegistry, settings: Any) -> Iterator[BusOnKafka]:
    """Return a topic of the Open edX bus on Kafka that Django's settings point to."""
    from tests.support.event_bus import BusOnKafka  # noqa: PLC0415 -- Django is not ready when this file is imported

    yield from _bus(BusOnKafka(kafka, schema_registry), settings)


@pytest.fixture
def redis_bus(redis: Redis, settings: Any) -> Iterator[BusOnRedis]:
    """Return a topic of the Open edX bus on Redis that Django's settings point to."""
    from tests.support.event_bus import BusOnRedis  # noqa: PLC0415 -- Django is not ready when this file is imported

    yield from _bus(BusOnRedis(redis), settings)


@pytest.fixture(params=["kafka", "redis"])
def bus(request: pytest.FixtureRequest) -> Bus:
    """Return a topic of the Open edX bus: a test that uses this runs with each broker."""
    found: Bus = request.getfixturevalue(f"{request.param}_bus")
    return found


def _bus(made: Any, settings: Any) -> Iterator[Any]:
    for name, value in made.settings.items():
        setattr(settings, name, value)
    yield made
    made.close()


@pytest.fixture
def acme(settings: Any) -> Iterator[str]:
    """Name a module with public signals of another package, which nobody has imported."""
    from tests.support.signal_registry import acme_signals  # noqa: PLC0415 -- only now Django is ready

    with acme_signals() as module:
        yield module


@pytest.fixture
def redis(pytestconfig: pytest.Config) -> Redis:
    """Start Redis, unless it runs."""
    return _started(pytestconfig, "redis")


@pytest.fixture
def s3proxy(pytestconfig: pytest.Config) -> S3Proxy:
    """Start the S3 server that refuses wrong signatures, unless it runs."""
    return _started(pytestconfig, "s3proxy")


@pytest.fixture
def postgresql(pytestconfig: pytest.Config) -> PostgreSQL:
    """Start PostgreSQL, whichever database the tests run on. It may be that database, so no test stops it."""
    return _started(pytestconfig, "postgresql")


@pytest.fixture
def mariadb(pytestconfig: pytest.Config) -> MariaDB:
    """Start MariaDB, whichever database the tests run on. It may be that database, so no test stops it."""
    return _started(pytestconfig, "mariadb")


@pytest.fixture
def database_server(pytestconfig: pytest.Config, flush_by_django: None) -> Iterator[Service]:
    """
    Return the server of the database of this test run, so that a test can stop and start it.

    It runs again afterwards.
    """
    if pytestconfig.option.db == "sqlite":
        pytest.skip(f"{LEFT_OUT}: a database server, which SQLite is not (--db postgresql)")
    server = _started(pytestconfig, pytestconfig.option.db)
    yield server
    _reconnect_to(server)


def _reconnect_to(server: Service) -> None:
    from django.db import connection  # noqa: PLC0415 -- settings are not there yet when this module is imported

    server.start()
    connection.close()


@pytest.fixture
def browser(pytestconfig: pytest.Config, tmp_path: Path) -> Iterator[Chrome]:
    """Start a headless Chromium for the pages of ``live_server``."""
    if CHROMIUM in pytestconfig.option.without:
        pytest.skip(f"{LEFT_OUT}: {CHROMIUM}")
    try:
        driver = start_browser(tmp_path / "profile")
    except ServiceUnavailable as error:
        pytest.fail(str(error), pytrace=False)
    yield driver
    driver.quit()


# The database


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    pytestconfig: pytest.Config, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Start the database server before pytest-django creates the test database on it."""
    if pytestconfig.option.db != "sqlite":
        _started(pytestconfig, pytestconfig.option.db)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Flush:
    """Create the test database. It is emptied faster than by Django after tests that commit."""
    from tests.support import flush  # noqa: PLC0415 -- Django is not ready when this file is imported

    return flush.install()


@pytest.fixture
def flush_by_django(django_db_setup: Flush, transactional_db: None) -> Iterator[None]:
    """Let Django empty the database after the test, for tests with processes that may still commit."""
    yield
    django_db_setup.by_django = True


# Processes


@pytest.fixture
def run_manage(flush_by_django: None, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """
    Start ``manage.py`` commands as processes on the test database: ``run_manage("badges_drain", env={…})``.

    The test sees what the processes commit, and they see what the test commits. They are killed when the test ends.
    """
    yield from _runner(tmp_path, manage)


@pytest.fixture
def run_celery(flush_by_django: None, tmp_path: Path, redis: Redis) -> Iterator[Callable[..., Process]]:
    """Start ``celery`` of the reference host as a process on the test database: ``run_celery("worker", "-c", "1")``."""

    def start(*arguments: str, env: Mapping[str, str], **options: object) -> Process:
        env = {"CELERY_BROKER_URL": redis.url, **env}
        return python_process("-m", "celery", "-A", "service", *arguments, env=env, **options)

    yield from _runner(tmp_path, start)


def _runner(folder: Path, start: Callable[..., Process]) -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> Process:
        log = folder / f"{len(processes)}-{arguments[0]}.log"
        processes.append(start(*arguments, log=log, database_url=test_database_url(), env=env or {}))
        return processes[-1]

    yield run
    for process in processes:
        process.ensure_gone()


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    """Requests are counted in the cache by user: the users of different tests have the same ids."""
    cache.clear()
