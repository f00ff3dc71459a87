"""Decisions per second of the criteria language, next to those of other engines that are asked the same."""

from __future__ import annotations

import json
import subprocess

from rich.table import Table

from benchmarks.processes import console
from tests.services.processes import ROOT

# scripts/bench makes it. The other engines are in no other environment.
PYTHON = ROOT / ".venv-bench/bin/python"
AIMS = {"criteria: predicate": 1_000_000, "criteria: evaluate, with the trace": 150_000}


def measure() -> None:
    """Print decisions a second of one condition on three fields, as a criteria document and as other engines' rule."""
    console.print("… one condition on three fields, by each engine")
    done = subprocess.run(  # noqa: S603 -- our own commands
        [PYTHON, "-m", "benchmarks.engines"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"The engines ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    rates = json.loads(done.stdout)
    table = Table(title="Decisions a second: three conditions on a nested payload, all of which hold")
    for heading in ("Engine", "Decisions/s", "Of the predicate", "Aim", "Is"):
        table.add_column(heading)
    for name, rate in rates.items():
        aim = AIMS.get(name)
        share = rate / rates["criteria: predicate"]
        is_met = ("met" if rate >= aim else "missed") if aim else ""
        table.add_row(name, f"{rate:,.0f}", f"{share:.3f}", f"{aim:,}" if aim else "", is_met)
    console.print(table)
