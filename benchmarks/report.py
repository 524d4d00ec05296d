"""Where figures go: a table on the terminal, `results.json`, and the tables in `docs/performance.md`."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row

RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- begin: written by make bench -->", "<!-- end: written by make bench -->"
PACKAGES = ("csp", "xronos", "simpy", "eclipse-zenoh", "numpy", "msgspec")


def machine() -> dict[str, Any]:
    """On what it was measured."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass  # another system than Linux says no more
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def show(console: Console, title: str, rows: list[Row]) -> None:
    """The rows of one benchmark as a table."""
    table = Table(title=title, title_justify="left")
    for column in ("measured", "figure (least - most)", "TickTalk", "beside", "floor"):
        table.add_column(column, overflow="fold")
    table.add_column("verdict")
    colours = {"holds": "green", "not yet": "yellow", "MISSED": "bold red"}
    for row in rows:
        verdict = f"[{colours[row.verdict]}]{row.verdict}[/]" if row.verdict else ""
        table.add_row(row.what, row.figure, row.ours, row.theirs, str(row.floor or ""), verdict)
    console.print(table)


def save(measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Put these benchmarks in the place of what the file has of them, and leave its others; gives all of it.

    Args:
        measured: name to title, rows, rounds and seconds.
    """
    try:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))["benchmarks"]
    except (OSError, ValueError, KeyError):
        results = {}
    results = {"machine": machine(), "benchmarks": {**results, **measured}}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def document(results: dict[str, Any], order: list[str]) -> None:
    """Write the tables between the marks of the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{tables(results, order)}{END}{after}", encoding="utf-8")


def tables(results: dict[str, Any], order: list[str]) -> str:
    """All results as Markdown."""
    host = results["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in host["packages"].items())
    lines = [
        f"Measured on {host['cores']} cores of {host['processor']}, {host['system']}, Python {host['python']};",
        f"{packages}.",
        "",
    ]
    for name in order:
        if name not in results["benchmarks"]:
            continue
        one = results["benchmarks"][name]
        lines += [
            f"### {one['title']}",
            "",
            f"`make bench ONLY={name}`; rounds: {one['rounds']}; {one['seconds']:.0f} s on {one['date']};"
            f" load of the machine before: {one['load']:.1f}.",
            "",
            "| measured | figure: median (least - most) | TickTalk | beside | floor | verdict |",
            "|---|---|---|---|---|---|",
        ]
        for row in one["rows"]:
            cells = (row["what"], row["figure"], row["ours"], row["theirs"], row["floor"], row["verdict"])
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
