"""
The files of the Java services. Maven downloads them once into a cache next to the code.

``python -m tests.services fetch`` downloads everything in advance, so that no test has to wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.services.processes import ROOT
from tests.services.service import ServiceUnavailable

POMS = {name: Path(__file__).with_name(f"{name}.pom.xml") for name in ("axe", "s3proxy")}
POM = Path(__file__).with_name("pom.xml")
CACHE = Path(os.environ.get("SERVICES_CACHE", ROOT / ".cache" / "services"))
GOALS = {"axe": "unpack", "kafka": "copy-dependencies", "schema_registry": "unpack", "s3proxy": "copy"}
SECONDS = 600


def fetched(service: str) -> Path:
    """
    Return the folder with the files of this service; download them if it does not exist yet.

    The folder is named by a digest of the pom and appears only when it is complete, so an interrupted download is not
    used.
    """
    folder = CACHE / f"{service}-{hashlib.sha256(_pom(service).read_bytes()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{service}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may need the same files
        if not folder.exists():
            for old in CACHE.glob(f"{service}-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(prefix=f".{service}-", dir=CACHE) as target:
                _run_maven(service, Path(target, "files"))
                Path(target, "files").rename(folder)
    return folder


def _pom(service: str) -> Path:
    return POMS.get(service, POM)


def _run_maven(service: str, target: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise ServiceUnavailable(
            f"{service}: no mvn here. Install it: apt-get install -y openjdk-17-jre-headless maven"
            f"   (or leave it out: make test WITHOUT={service})"
        )
    print(f"Fetching {service} with Maven (once)", flush=True)
    argv = [maven, "-B", "-q", "-f", _pom(service), f"-Dtarget={target}", f"dependency:{GOALS[service]}@{service}"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"{service}: Maven has not fetched it within {SECONDS} s. Run it again.") from None
    if done.returncode != 0:
        raise ServiceUnavailable(f"{service}: Maven could not fetch it.\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
