"""A schema registry with Confluent's API: Apicurio."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from tests.services.maven import fetched
from tests.services.service import Service


class SchemaRegistry(Service):
    """One registry. It stores schemas and their ids in a file, so that they survive a restart."""

    name = "schema_registry"
    packages = "openjdk-17-jre-headless maven"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def find(self) -> None:
        self._java = self.program("java")
        self._jar = next(fetched("schema_registry").glob("*-runner.jar"))

    def command(self) -> list[str | Path]:
        return [
            self._java,
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xmx400m",
            f"-Dquarkus.http.port={self.port}",
            "-Dquarkus.http.host=127.0.0.1",
            f"-DREGISTRY_DATASOURCE_URL=jdbc:h2:file:{self.folder / 'schemas'};WRITE_DELAY=0",
            "-jar",
            self._jar,
        ]

    def answers(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as response:
            return bool(response.status == 200)
