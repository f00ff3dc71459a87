"""The reference host with a broker and no schema registry: JSON events alone."""

from tests.support.host_settings import *  # noqa: F403

EVENT_BUS_PRODUCER = None
EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = None
