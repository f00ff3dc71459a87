"""
Real servers for tests and benchmarks: one file for each, all with the same methods.

``with Kafka() as kafka: kafka.bootstrap_servers``. Each server runs on free loopback ports in a temporary folder and
has a time limit for its start. It shows its log when the start fails, and ends with the process that started it.
"""

from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB
from tests.services.postgresql import PostgreSQL
from tests.services.redis import Redis
from tests.services.s3proxy import S3Proxy
from tests.services.schema_registry import SchemaRegistry
from tests.services.service import Service, ServiceUnavailable

ALL: dict[str, type[Service]] = {
    service.name: service for service in (Kafka, SchemaRegistry, PostgreSQL, MariaDB, Redis, S3Proxy)
}

__all__ = [
    "ALL",
    "Kafka",
    "MariaDB",
    "PostgreSQL",
    "Redis",
    "S3Proxy",
    "SchemaRegistry",
    "Service",
    "ServiceUnavailable",
]
