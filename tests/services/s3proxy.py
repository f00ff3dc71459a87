"""An S3 server that checks signatures: s3proxy, on a folder."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

from tests.services.maven import fetched
from tests.services.service import Service


class S3Proxy(Service):
    """One server with one bucket, ``documents``. Requests and links with a wrong signature get 403."""

    name = "s3proxy"
    packages = "openjdk-17-jre-headless maven"
    access_key = "marsupilami"
    secret_key = "houba-houba-hop"
    bucket = "documents"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, Any]:
        """The OPTIONS of ``storages.backends.s3.S3Storage`` for this server."""
        return {
            "bucket_name": self.bucket,
            "endpoint_url": self.url,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "region_name": "us-east-1",
            "addressing_style": "path",
            "signature_version": "s3v4",
            "default_acl": None,
        }

    def find(self) -> None:
        self._java = self.program("java")
        self._jar = next(fetched("s3proxy").glob("s3proxy-*.jar"))

    def prepare(self) -> None:
        # A bucket is a folder.
        (self.folder / "data" / self.bucket).mkdir(parents=True)
        settings = {
            "s3proxy.endpoint": self.url,
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": self.access_key,
            "s3proxy.credential": self.secret_key,
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": str(self.folder / "data"),
        }
        (self.folder / "s3proxy.conf").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def command(self) -> list[str | Path]:
        java = [self._java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]
        return [*java, "-jar", self._jar, "--properties", self.folder / "s3proxy.conf"]

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status in (200, 403)
        finally:
            connection.close()
