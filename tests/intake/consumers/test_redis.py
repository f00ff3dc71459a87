"""What only Redis has: entries that were given out, trimmed streams, an emptied server, fail-overs, passwords, TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis import Redis as Client
from redis import exceptions

from badges.exceptions import Retryable
from badges.intake.consumers import redis_client
from badges.intake.consumers.loop import ConsumerError
from badges.intake.consumers.redis import RELEASED
from badges.intake.events import Event, Unreadable
from badges.testing.events import passing_status
from tests.services import Redis
from tests.support.bus_members import Member, ids_of, passings, until
from tests.support.event_bus import BusOnRedis
from tests.support.kafka_doubles import headers_of

Make = Callable[..., Member]


def take(bus: BusOnRedis, number: int, consumer: str = "killed") -> list[str]:
    """Let a consumer of the group be given entries that it never acknowledges; return their ids."""
    ((_, entries),) = bus.client.xreadgroup(bus.group, consumer, {bus.full_topic: ">"}, count=number)
    return [id.decode() for id, _ in entries]


def test_what_a_killed_consumer_had_is_taken_over(redis_bus: BusOnRedis, redis_member: Make, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"redis_claim_seconds": 1}
    events = passings(10)
    redis_bus.create_topic().send(*events)
    redis_bus.client.xgroup_create(redis_bus.full_topic, redis_bus.group, "0")
    take(redis_bus, 4)
    reader = redis_member(until_idle=True).run()
    assert sorted(reader.ids) == sorted(ids_of(events))
    assert redis_bus.acknowledged() == 10


def test_what_got_lost_on_the_way_to_a_consumer_is_read_again(redis_bus: BusOnRedis, redis_member: Make) -> None:
    events = passings(10)
    redis_bus.create_topic().send(*events)
    redis_bus.client.xgroup_create(redis_bus.full_topic, redis_bus.group, "0")
    reader = redis_member(batch_size=3)
    take(redis_bus, 4, consumer=reader.bus._consumer)
    reader.start()
    until(lambda: len(reader.items) == 10, seconds=30)  # it would take itself over after a minute
    reader.end()
    assert reader.ids == ids_of(events)
    assert redis_bus.acknowledged() == 10


def test_a_consumer_that_ends_releases_what_it_has_and_leaves_no_name(
    redis_bus: BusOnRedis, redis_member: Make
) -> None:
    def decide(batch: Any) -> None:
        raise Retryable("The database did not answer.")

    events = passings(30)
    redis_bus.create_topic().send(*events)
    with pytest.raises(Retryable):
        redis_member(batch_size=10, decide=decide).run()
    consumers = redis_bus.client.xinfo_consumers(redis_bus.full_topic, redis_bus.group)
    assert [(consumer["name"].decode(), consumer["pending"]) for consumer in consumers] == [(RELEASED, 10)]
    begun = time.monotonic()
    assert sorted(redis_member(max_events=30).run().ids) == sorted(ids_of(events))
    assert time.monotonic() - begun < 30  # and not after the minute in which a killed consumer might come back


def test_two_consumers_share_a_stream_and_each_event_is_handled_once(redis_bus: BusOnRedis, redis_member: Make) -> None:
    events = passings(200)
    redis_bus.create_topic()
    readers = [redis_member(batch_size=5, decide=lambda batch: time.sleep(0.01)).start() for _ in range(2)]
    redis_bus.send(*events)
    until(lambda: redis_bus.acknowledged() == 200)
    for reader in readers:
        reader.end()
    assert sorted(readers[0].ids + readers[1].ids) == sorted(ids_of(events))
    assert all(reader.ids for reader in readers)


# --- what was lost ---------------------------------------------------------------------------------------------------


def test_entries_that_were_trimmed_before_they_were_read_are_told_by_number_and_range(
    redis_bus: BusOnRedis, redis_member: Make
) -> None:
    redis_bus.create_topic().send(*passings(10))
    redis_member(until_idle=True).run()
    for lost in (30, 25):
        last = redis_bus.client.xinfo_stream(redis_bus.full_topic)["last-generated-id"].decode()
        redis_bus.send(*passings(lost + 10))
        redis_bus.client.xtrim(redis_bus.full_topic, maxlen=10, approximate=False)
        first = redis_bus.client.xinfo_stream(redis_bus.full_topic)["first-entry"][0].decode()
        reader = redis_member(until_idle=True).run()
        (dead,) = [item for item in reader.items if isinstance(item, Unreadable)]
        assert dead.reason.startswith(f"{lost} entries of the stream {redis_bus.full_topic} were trimmed")
        assert f"those after {last} and before {first}" in dead.reason
        assert reader.notices == [dead.reason]
        assert len([item for item in reader.items if isinstance(item, Event)]) == 10
    assert redis_member(until_idle=True).run().items == []


def test_a_second_loss_before_the_end_of_the_stream_is_counted_for_itself(
    redis_bus: BusOnRedis, redis_member: Make
) -> None:
    def send_and_trim() -> None:
        redis_bus.send(*passings(30))
        redis_bus.client.xtrim(redis_bus.full_topic, maxlen=10, approximate=False)

    redis_bus.create_topic().send(*passings(3))
    redis_member(until_idle=True).run()
    send_and_trim()
    again = iter([send_and_trim])
    items = redis_member(until_idle=True, batch_size=5, decide=lambda _: next(again, lambda: None)()).run().items
    lost = [int(item.reason.split(" entries")[0]) for item in items if isinstance(item, Unreadable)]
    assert lost[0] == 20
    assert len(lost) == 2
    assert sum(lost) + len([item for item in items if isinstance(item, Event)]) == 60


def test_a_stream_that_was_trimmed_to_nothing_is_noticed_once(redis_bus: BusOnRedis, redis_member: Make) -> None:
    redis_bus.create_topic().send(*passings(3))
    redis_member(until_idle=True).run()
    redis_bus.send(*passings(7))
    redis_bus.client.xtrim(redis_bus.full_topic, maxlen=0, approximate=False)
    reader = redis_member(until_idle=True).run()
    assert [item.reason.split(" of ")[0] for item in reader.items] == ["7 entries"]
    assert redis_member(until_idle=True).run().items == []


def test_entries_that_were_trimmed_while_a_killed_consumer_had_them_are_told_by_their_ids(
    redis_bus: BusOnRedis, redis_member: Make, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"redis_claim_seconds": 1}
    redis_bus.create_topic().send(*passings(10))
    redis_bus.client.xgroup_create(redis_bus.full_topic, redis_bus.group, "0", entries_read=0)
    ids = take(redis_bus, 4)
    redis_bus.client.xtrim(redis_bus.full_topic, maxlen=5, approximate=False)
    reader = redis_member(until_idle=True).run()
    reasons = [item.reason for item in reader.items if isinstance(item, Unreadable)]
    assert sorted(reason.split(" entries")[0] for reason in reasons) == ["1", "4"]
    assert any(f"{ids[0]} to {ids[3]}" in reason for reason in reasons)


def test_what_is_trimmed_while_a_batch_takes_long_is_not_lost(
    redis_bus: BusOnRedis, redis_member: Make, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"redis_claim_seconds": 1, "intake": {"batch_bytes": 1000}}  # one event in a batch
    events = passings(6)
    redis_bus.create_topic().send(*events)

    def decide(batch: Any) -> None:
        if batch[0].id == ids_of(events)[0]:
            redis_bus.client.xtrim(redis_bus.full_topic, maxlen=0, approximate=False)
            time.sleep(1.2)

    reader = redis_member(until_idle=True, decide=decide).run()
    assert (reader.ids, reader.notices) == (ids_of(events), [])


@pytest.mark.parametrize("given", ["a minute", None, True])
def test_a_wrong_number_of_seconds_is_an_error(
    redis_bus: BusOnRedis, redis_member: Make, settings: Any, given: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"redis_claim_seconds": given}
    with pytest.raises(ConsumerError, match="must be a number of seconds"):
        redis_member()


def test_what_was_trimmed_before_the_group_was_there_is_no_loss(redis_bus: BusOnRedis, redis_member: Make) -> None:
    redis_bus.create_topic().send(*passings(20))
    redis_bus.client.xtrim(redis_bus.full_topic, maxlen=5, approximate=False)
    reader = redis_member(until_idle=True).run()
    assert (len(reader.ids), reader.notices) == (5, [])


def test_after_redis_was_emptied_it_begins_with_the_earliest_entry(redis_bus: BusOnRedis, redis_member: Make) -> None:
    redis_bus.create_topic().send(*passings(3))
    reader = redis_member().start()
    until(lambda: len(reader.items) == 3)
    redis_bus.client.delete(redis_bus.full_topic)
    until(lambda: reader.notices)
    events = passings(4)
    redis_bus.send(*events)
    until(lambda: len(reader.items) == 7)
    reader.end()
    assert reader.ids[3:] == ids_of(events)
    assert "is gone: it was deleted, or Redis was emptied." in reader.notices[0]


def test_an_eviction_policy_that_may_delete_streams_is_told(redis_bus: BusOnRedis, redis_member: Make) -> None:
    redis_bus.create_topic()
    redis_bus.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        reader = redis_member(until_idle=True).run()
    finally:
        redis_bus.client.config_set("maxmemory-policy", "noeviction")
    assert "Set maxmemory-policy to noeviction." in reader.notices[0]


# --- the server ------------------------------------------------------------------------------------------------------


def test_while_the_server_is_read_only_as_in_a_fail_over_it_waits(redis_bus: BusOnRedis, redis_member: Make) -> None:
    events = passings(6)
    redis_bus.create_topic().send(*events[:3])
    reader = redis_member().start()
    until(lambda: redis_bus.acknowledged() == 3)
    redis_bus.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    until(lambda: reader.notices)
    redis_bus.client.execute_command("REPLICAOF", "NO", "ONE")
    redis_bus.send(*events[3:])
    until(lambda: redis_bus.acknowledged() == 6)
    reader.end()
    assert reader.ids == ids_of(events)
    assert reader.notices[0].startswith("Redis is not available (")
    assert reader.notices[1] == "Redis is back."


# What the client writes before the answer of Redis to one of several commands.
IN_A_PIPELINE = "Command # 3 (XREADGROUP GROUP badges) of pipeline caused error: "


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (exceptions.ConnectionError("Connection refused"), True),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), True),
        (exceptions.TimeoutError("Timeout reading from socket"), True),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), True),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), True),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (exceptions.ResponseError(f"{IN_A_PIPELINE}MISCONF Redis is configured to save RDB snapshots"), True),
        (exceptions.ResponseError(f"{IN_A_PIPELINE}WRONGTYPE Operation against a key of the wrong kind"), False),
        (exceptions.AuthenticationError("invalid username-password pair"), False),
        (exceptions.NoPermissionError("this user has no permissions"), False),
        (exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), False),
    ],
)
def test_only_what_passes_is_waited_for(error: Exception, transient: bool) -> None:
    assert redis_client.is_transient(error) is transient


@pytest.fixture
def password(redis_bus: BusOnRedis) -> Iterator[str]:
    with Client.from_url(redis_bus.server.url) as client:
        client.config_set("requirepass", "s/cr@t:")
        yield "s%2Fcr%40t:"
        client.config_set("requirepass", "")


def test_a_password_is_part_of_the_url(redis_bus: BusOnRedis, redis_member: Make, settings: Any, password: str) -> None:
    with pytest.raises(ConsumerError, match=r"Redis refuses this consumer: Authentication required.+Correct EVENT_BUS"):
        redis_member().run()
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://:{password}@127.0.0.1:{redis_bus.server.port}/0"
    redis_bus.client = Client.from_url(settings.EVENT_BUS_REDIS_CONNECTION_URL)
    redis_bus.create_topic().send(*passings(2))
    assert len(redis_member(until_idle=True).run().items) == 2
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://:wrong@127.0.0.1:{redis_bus.server.port}/0"
    with pytest.raises(ConsumerError) as raised:
        redis_member().run()
    assert "wrong@" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://h", "redis://u:s3cret@h:port/0", "redis://h/0?no_such_option=s3cret"])
def test_a_url_that_cannot_be_used_is_told_without_its_password(
    redis_bus: BusOnRedis, redis_member: Make, settings: Any, url: str
) -> None:
    settings.EVENT_BUS_REDIS_CONNECTION_URL = url
    with pytest.raises(ConsumerError, match="EVENT_BUS_REDIS_CONNECTION_URL cannot be used") as raised:
        redis_member()
    assert "s3cret" not in str(raised.value)


def test_a_key_that_is_no_stream_is_an_error(redis_bus: BusOnRedis, redis_member: Make) -> None:
    redis_bus.client.set(redis_bus.full_topic, "houba")
    with pytest.raises(ConsumerError, match="WRONGTYPE"):
        redis_member().run()


class RedisWithTLS(Redis):
    """A server that speaks TLS alone, with a certificate of its own."""

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.folder / 'cert.pem'}"

    def prepare(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
        now = dt.datetime.now(dt.UTC)
        local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        certificate = builder.add_extension(local, critical=False).sign(key, hashes.SHA256())
        (self.folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / "key.pem").write_bytes(key.private_bytes(*plain))

    def options(self) -> dict[str, object]:
        files: dict[str, Path] = {"tls-cert-file": self.folder / "cert.pem", "tls-key-file": self.folder / "key.pem"}
        return {"port": 0, "tls-port": self.port, "tls-auth-clients": "no", **files}

    def answers(self) -> bool:
        try:
            with Client.from_url(self.url) as client:
                return bool(client.ping())
        except (exceptions.RedisError, ssl.SSLError):
            return False


def test_tls_is_part_of_the_url(redis: Redis, settings: Any) -> None:
    with RedisWithTLS() as server:
        bus = BusOnRedis(server)
        for name, value in bus.settings.items():
            setattr(settings, name, value)
        bus.create_topic().send(*passings(2))
        assert len(Member(bus, until_idle=True).run().items) == 2
        bus.close()


# --- entries ---------------------------------------------------------------------------------------------------------


def test_a_very_large_entry_is_a_dead_letter_and_the_others_go_on(redis_bus: BusOnRedis, redis_member: Make) -> None:
    events = passings(5)
    redis_bus.create_topic().send(events[0])
    redis_bus.send_raw(b"x" * 10_000_000, headers_of(events[0]))
    redis_bus.send(*events[1:])
    reader = redis_member(until_idle=True).run()
    (dead,) = [item for item in reader.items if isinstance(item, Unreadable)]
    assert "event_bytes" in dead.reason
    assert dead.body is None
    assert [item.id for item in reader.items if isinstance(item, Event)] == ids_of(events)


def test_avro_of_another_release_says_which_one_sent_it(redis_bus: BusOnRedis, redis_member: Make) -> None:
    event = passing_status(name="Marsupilami")
    redis_bus.create_topic()
    redis_bus.send_raw(redis_bus.wire(event) + b"more", [*headers_of(event), ("ce_sourcelib", b"12.1.0")])
    (dead,) = redis_member(until_idle=True).run().items
    assert isinstance(dead, Unreadable)
    assert "bytes are left over. The sender has openedx-events 12.1.0, and here is " in dead.reason
    assert "Marsupilami" not in dead.reason
