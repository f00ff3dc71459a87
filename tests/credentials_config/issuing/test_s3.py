"""Documents in S3: on a server that checks signatures, and on one that has the whole API."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import boto3
import pytest
from django.core.files.storage import storages
from moto.server import ThreadedMotoServer

from credentials_config.issuing import document_queue, documents, generation, lifecycle
from credentials_config.models import Credential, CredentialStatus
from credentials_config.testing.lms import LmsStandIn
from tests.services import S3Proxy
from tests.services.service import free_port
from tests.support.certificates import DAY, HOUR, NOW, add_algebra, configure_certificate, deliver, issue, make, run

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "storages.backends.s3.S3Storage"


@pytest.fixture(autouse=True)
def emails_in_memory(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def keep_in(settings: Any, options: dict[str, Any], **documents_settings: Any) -> None:
    settings.STORAGES = {**settings.STORAGES, "bucket": {"BACKEND": BACKEND, "OPTIONS": options}}
    given = settings.CREDENTIALS_CONFIG
    settings.CREDENTIALS_CONFIG = {**given, "documents": {"storage": "bucket", **documents_settings}}


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


@pytest.fixture
def moto() -> Iterator[dict[str, Any]]:
    """Run moto's S3, with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", port=free_port())
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "bucket_name": "documents",
        "endpoint_url": f"http://{host}:{port}",
        "access_key": "marsupilami",
        "secret_key": "houba",
        "region_name": "us-east-1",
        "addressing_style": "path",
    }
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id="marsupilami",
        aws_secret_access_key="houba",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="documents")
    yield options
    server.stop()


# s3proxy: signatures


def test_documents_go_to_a_server_that_checks_signatures_and_come_back_by_signed_links_only(
    lms: LmsStandIn, s3proxy: S3Proxy, settings: Any
) -> None:
    keep_in(settings, s3proxy.options)
    add_algebra(lms, finished=2, unfinished=0)
    done = issue(configure_certificate())
    assert done.issued == 2
    credential = Credential.objects.get(learner_name="Learner Number 2")
    signed = documents.fetch_url(credential.document)
    assert signed is not None
    assert fetch(signed)[1].startswith("Learner Number 2\n")
    bare = urlunsplit(urlsplit(signed)._replace(query=""))
    assert fetch(bare)[0] == 403, "not without a signature"
    for good, wrong in (("X-Amz-Signature=", "X-Amz-Signature=0"), (credential.document, credential.document + "x")):
        assert good in signed
        assert fetch(signed.replace(good, wrong))[0] in (403, 404)


def test_a_wrong_secret_holds_the_configuration_says_so_and_costs_no_document(
    lms: LmsStandIn, s3proxy: S3Proxy, settings: Any
) -> None:
    keep_in(settings, {**s3proxy.options, "secret_key": "wrong"})
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configure_certificate()
    issue(configuration)
    configuration.refresh_from_db()
    assert configuration.problem.startswith("The storage 'bucket' does not take documents: ClientError")
    assert not Credential.objects.filter(status=CredentialStatus.AVAILABLE).exists()
    keep_in(settings, s3proxy.options)
    make(now=NOW + HOUR)
    make(now=NOW + 2 * HOUR)
    assert set(Credential.objects.values_list("status", flat=True)) == {"available"}


def test_a_server_that_crashes_and_comes_back_has_each_document_once(
    lms: LmsStandIn, s3proxy: S3Proxy, settings: Any
) -> None:
    from botocore.config import Config  # noqa: PLC0415

    timeouts = Config(connect_timeout=1, read_timeout=2, retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    keep_in(settings, {**s3proxy.options, "client_config": timeouts}, folder="crash")
    add_algebra(lms, finished=4, unfinished=0)
    configuration = configure_certificate()
    run(configuration)
    make(limit=2)
    s3proxy.kill()
    make(now=NOW)
    configuration.refresh_from_db()
    assert "does not take documents" in configuration.problem
    s3proxy.start()
    make(now=NOW + HOUR)
    make(now=NOW + 2 * HOUR)
    kept = sorted(Credential.objects.values_list("document", flat=True))
    found = storages["bucket"].connection.Bucket(s3proxy.bucket).objects.filter(Prefix="crash/")
    assert sorted(one.key for one in found) == kept
    assert len(kept) == 4


# moto: function


def test_a_reissued_document_replaces_the_old_one_in_the_bucket(
    lms: LmsStandIn, moto: dict[str, Any], settings: Any
) -> None:
    keep_in(settings, moto)
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    deliver()
    old = Credential.objects.get().document
    lifecycle.reissue(Credential.objects.all(), now=NOW + DAY)
    make(now=NOW + DAY)
    new = Credential.objects.get().document
    storage = storages["bucket"]
    assert (storage.exists(old), storage.exists(new)) == (True, True)
    deliver()
    assert (storage.exists(old), storage.exists(new)) == (False, True)
    lifecycle.invalidate(Credential.objects.all(), public_reason="It was a rehearsal.")
    deliver()
    assert not storage.exists(new)


def test_a_slow_worker_whose_lease_ended_does_not_lose_its_successors_document(
    lms: LmsStandIn, moto: dict[str, Any], settings: Any
) -> None:
    keep_in(settings, moto)
    add_algebra(lms, finished=1, unfinished=0)
    run(configure_certificate())
    document_queue.claim(10, now=NOW)  # killed
    slow = generation.DocumentBatch(document_queue.claim(10, now=NOW + HOUR), NOW + HOUR, lambda: False)
    assert make(now=NOW + 2 * HOUR).made == 1
    assert slow.make().lost == 1
    deliver()
    (stored,) = storages["bucket"].bucket.objects.all()
    assert stored.key == Credential.objects.get().document
    assert stored.get()["Body"].read().startswith(b"Learner Number 1\n")


def test_a_document_says_what_it_is(lms: LmsStandIn, moto: dict[str, Any], settings: Any) -> None:
    keep_in(settings, moto)
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    stored = storages["bucket"].bucket.Object(Credential.objects.get().document)
    assert stored.content_type == "text/plain"


def test_a_public_link_is_the_storages_own_address_and_a_signed_one_is_ours(
    lms: LmsStandIn, moto: dict[str, Any], settings: Any
) -> None:
    keep_in(settings, {**moto, "querystring_auth": False}, links="public")
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    credential = Credential.objects.get()
    public = documents.link(credential.document, credential.verification_code)
    assert public == f"{moto['endpoint_url']}/documents/{credential.document}"
    keep_in(settings, moto, links="signed")
    signed = documents.link(credential.document, credential.verification_code)
    assert signed.startswith("https://credentials.test/credentials/document/")
    token = signed.rpartition("/")[2]
    assert documents.code_of_token(token) == credential.verification_code
    assert documents.code_of_token(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
