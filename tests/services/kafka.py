"""Apache Kafka: one KRaft broker."""

from __future__ import annotations

import base64
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tests.services.maven import fetched
from tests.services.service import Service, can_connect, free_port

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
# After a crash the controller takes the old broker for alive during this time, and the new one has to wait.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# Topics are created explicitly, because a test needs to consume a topic that does not exist yet.
auto.create.topics.enable=false
"""


class Kafka(Service):
    """One broker. Topics and offsets survive ``stop`` and ``kill``."""

    name = "kafka"
    packages = "openjdk-17-jre-headless maven"

    def __init__(self) -> None:
        super().__init__()
        self.controller_port = free_port()

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def create_topic(self, name: str, *, partitions: int = 1, seconds: float = 30) -> str:
        """Create a topic, wait until it can be written, and return its name."""
        admin = self._admin()
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1)
        admin.create_topics([topic], operation_timeout=seconds)[name].result(seconds)
        return name

    def partitions(self, topic: str) -> list[int]:
        """Return the numbers of a topic's partitions; an empty list when the topic does not exist."""
        return sorted(self._admin().list_topics(timeout=10).topics[topic].partitions)

    def find(self) -> None:
        self._java = self.program("java")
        self._classes = fetched("kafka")

    def prepare(self) -> None:
        data = self.own_folder("data")
        properties = PROPERTIES.format(port=self.port, controller_port=self.controller_port, data=data)
        self._properties = self.folder / "server.properties"
        self._properties.write_text(properties)
        tool = [*self._run_java(), "kafka.tools.StorageTool"]
        cluster = base64.urlsafe_b64encode(b"badges-tests-000").rstrip(b"=").decode()  # sixteen bytes, as a UUID has
        self.run(*tool, "format", "--standalone", "-t", cluster, "-c", self._properties)

    def command(self) -> list[str | Path]:
        return [*self._run_java("-Xmx512m"), "kafka.Kafka", self._properties]

    def answers(self) -> bool:
        can_connect(self.port)
        try:
            return bool(self._admin().list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def _admin(self) -> AdminClient:
        # While the broker starts, the client would log every refused connection.
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def _run_java(self, *options: str) -> list[str | Path]:
        # Options for short runs on few cores: no second compiler, no parallel garbage collector.
        return [self._java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *options, "-cp", f"{self._classes}/*"]
