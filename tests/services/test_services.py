"""Each server really starts, does its work, and has its data again after a crash."""

from __future__ import annotations

import json
import urllib.request

import MySQLdb
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from redis import Redis as RedisClient
from selenium.webdriver import Chrome

from tests.conftest import LEFT_OUT
from tests.services import ALL, Kafka, MariaDB, PostgreSQL, Redis, SchemaRegistry
from tests.services.service import Service, ServiceUnavailable
from tests.support.accessibility import barriers


def test_kafka_keeps_a_message_over_a_crash(kafka: Kafka) -> None:
    topic = kafka.create_topic("smoke", partitions=3)
    produced = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    producer.produce(topic, b"marsupilami", on_delivery=lambda error, message: produced.append((error, message)))
    producer.flush(20)
    assert [error for error, _ in produced] == [None]

    kafka.kill()
    kafka.start()

    settings = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "smoke", "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "log_level": 0})
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert (message.value(), message.error()) == (b"marsupilami", None)
    assert len(kafka.partitions(topic)) == 3


def test_schema_registry_keeps_a_schema_and_its_id_over_a_restart(schema_registry: SchemaRegistry) -> None:
    schema = json.dumps({"type": "record", "name": "Houba", "fields": [{"name": "sher", "type": "string"}]})
    registered = _post(f"{schema_registry.url}/subjects/smoke-value/versions", {"schema": schema})

    schema_registry.restart()

    with urllib.request.urlopen(f"{schema_registry.url}/schemas/ids/{registered['id']}") as response:
        assert json.loads(json.load(response)["schema"]) == json.loads(schema)


@pytest.mark.live
def test_postgresql_keeps_committed_rows_over_a_crash(pytestconfig: pytest.Config) -> None:
    if PostgreSQL.name in pytestconfig.option.without:
        pytest.skip(f"{LEFT_OUT}: {PostgreSQL.name}")
    # A server of its own: on the one of this test run, the crash would end the connection of the next test.
    with PostgreSQL() as postgresql:
        with psycopg.connect(postgresql.url) as connection:
            connection.execute("CREATE TABLE smoke AS SELECT 'houba' AS word")
            assert connection.info.server_version >= 150000
            assert connection.info.parameter_status("server_encoding") == "UTF8"

        postgresql.kill()
        postgresql.start()

        with psycopg.connect(postgresql.url) as connection:
            assert connection.execute("SELECT word FROM smoke").fetchall() == [("houba",)]


def test_mariadb_equates_what_debian_s_default_collation_equates(mariadb: MariaDB) -> None:
    connection = MySQLdb.connect(unix_socket=str(mariadb.socket), user="root", db="badges", charset="utf8mb4")
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE smoke (word VARCHAR(20))")
    cursor.execute("INSERT INTO smoke VALUES ('JOSÉ')")
    cursor.execute("SELECT @@version, @@collation_server, (SELECT COUNT(*) FROM smoke WHERE word = 'jose')")
    version, collation, found = cursor.fetchone()
    connection.close()
    assert "MariaDB" in version
    assert collation == "utf8mb4_general_ci"
    assert found == 1


def test_redis_keeps_a_key_over_a_restart(redis: Redis) -> None:
    with RedisClient.from_url(redis.url) as client:
        client.set("smoke", "marsupilami")
    redis.restart()
    with RedisClient.from_url(redis.url) as client:
        assert client.get("smoke") == b"marsupilami"
        client.delete("smoke")


@pytest.mark.parametrize("name", ALL)
def test_a_service_that_cannot_be_had_names_the_line_that_installs_it(name: str) -> None:
    service = ALL[name]()
    with pytest.raises(ServiceUnavailable, match=r"apt-get install -y .*make test WITHOUT=" + name):
        service.program("no-such-program")
    service.close()


class Stubborn(Service):
    """A service that fails with a message, or never answers."""

    name = "stubborn"
    packages = "stubborn"
    start_seconds = 0.5
    script = "echo 'no space for a marsupilami' >&2; exit 3"

    def find(self) -> None:
        pass

    def command(self) -> list:
        return ["/bin/sh", "-c", self.script]


def test_a_failed_start_shows_the_log() -> None:
    service = Stubborn()
    with pytest.raises(ServiceUnavailable, match=r"(?s)exit code 3.*no space for a marsupilami"):
        service.start()
    service.close()


def test_a_start_that_takes_too_long_is_ended() -> None:
    service = Stubborn()
    service.script = "echo thinking; exec sleep 60"
    with pytest.raises(ServiceUnavailable, match=r"(?s)without an answer after 0.5 s.*thinking"):
        service.start()
    assert not service.running
    service.close()
    assert not service.folder.exists()


def test_axe_says_what_keeps_people_out_of_a_page(browser: Chrome) -> None:
    browser.get("data:text/html,<html lang=en><title>Houba</title><main><h1>Houba</h1><img src=x id=nest></main>")
    assert barriers(browser) == ["critical image-alt: #nest"]


def _post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)
