"""A deployment as the text of its file; reading that gives the same deployment."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import yaml

from ticktalk.durations import duration_text
from ticktalk.mapping.deployment_file import ClockSpec, CostSpec, DeploymentFile, EnsembleSpec, LinkSpec


def deployment_text(deployment: DeploymentFile) -> str:
    """The YAML text."""
    content: dict[str, Any] = {"ensembles": [_ensemble(spec) for spec in deployment.ensembles]}
    links: list[dict[str, Any]] = [{"between": list(pair), **_link(link)} for pair, link in deployment.links.items()]
    if deployment.default != LinkSpec():
        links.append({"default": _link(deployment.default)})
    if links:
        content["links"] = links
    if deployment.costs:
        content["costs"] = {function: _cost(cost) for function, cost in deployment.costs.items()}
    text: str = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    return text


def _ensemble(spec: EnsembleSpec) -> dict[str, Any]:
    made: dict[str, Any] = {"name": spec.name}
    if spec.components:
        made["components"] = list(spec.components)
    if spec.speed != 1:
        made["speed"] = _plain(decimal(spec.speed))
    if spec.cores != 1:
        made["cores"] = spec.cores
    if spec.memory is not None:
        made["memory"] = _size(spec.memory)
    if spec.modules is not None:
        made["modules"] = list(spec.modules)
    if spec.clock != ClockSpec():
        made["clock"] = {"offset": duration_text(spec.clock.offset), "drift": f"{decimal(spec.clock.drift)}ppm"}
    return made


def _link(link: LinkSpec) -> dict[str, str]:
    nothing = LinkSpec()
    changed = {name: value for name, value in link._asdict().items() if value != getattr(nothing, name)}
    return link_fields({"latency": link.latency, **changed})


def link_fields(fields: Mapping[str, Any]) -> dict[str, str]:
    """Fields of a link as their texts."""
    made = {}
    for name, value in fields.items():
        if name in ("latency", "jitter"):
            made[name] = duration_text(value)
        elif name == "distribution":
            made[name] = value.value
        elif name == "bandwidth":
            # Bits where a number of bytes would have more digits than are read.
            bits = len(decimal(value).partition(".")[2]) > 15
            made[name] = f"{decimal(value * 8)}bit/s" if bits else f"{decimal(value)}B/s"
        else:
            made[name] = f"{decimal(100 * Fraction(value))}%"
    return made


def _cost(cost: CostSpec) -> dict[str, str]:
    made = {}
    if cost.time is not None:
        made["time"] = duration_text(cost.time)
    if cost.bytes is not None:
        made["bytes"] = _size(cost.bytes)
    if cost.memory is not None:
        made["memory"] = _size(cost.memory)
    return made


def _size(count: int) -> str:
    return f"{count}B"


def decimal(value: Fraction) -> str:
    """A number as an exact decimal; a number that was read from a file has one."""
    if value < 0:
        return f"-{decimal(-value)}"
    whole, rest = divmod(value, 1)
    digits = ""
    while rest:
        digit, rest = divmod(rest * 10, 1)
        digits += str(int(digit))
        if len(digits) > 40:
            raise ValueError(f"{value} is no decimal number")
    return f"{int(whole)}.{digits}" if digits else str(int(whole))


def _plain(text: str) -> Any:
    """A number that YAML writes as it is, so that it needs no quotes; else the text."""
    number = float(text) if "." in text else int(text)
    return number if repr(number) == text else text
