"""A plan as a file of events for `ticktalk simulate --events`, as far as that knows what is done."""

from __future__ import annotations

from pathlib import Path

from plans import BEGIN, NAMES, Command, Plan
from played_network import MANAGER
from played_programs import drops, source
from played_run import SETTLES


def as_events(plan: Plan) -> str:
    """The text of the file; what it cannot say stands in comments."""
    cuts: set[tuple[str, ...]] = set()
    dead: set[str] = set()
    names = list(plan.names)
    lines = []
    for command in plan.commands:
        text = _replace(command, plan.program) if command.kind == "replace" else _event(command, cuts, dead, names)
        at = f"{max(0, command.at - BEGIN) // 1000}ms"
        if text:
            lines.append(f"- {{at: {at}, {text}}}")
        else:
            lines.append(f"# {at}: {command.kind} {' '.join(command.who)} {command.much or ''}".rstrip())
    return "\n".join(lines)


def _event(command: Command, cuts: set[tuple[str, ...]], dead: set[str], names: list[str]) -> str:
    who, much = command.who, command.much
    link = f"[{', '.join(who)}]"
    if command.kind in ("cut", "lose") and who not in cuts:
        cuts.add(who)
        return f"cut: {link}"
    if command.kind == "heal" and who in cuts:
        cuts.discard(who)
        return f"heal: {link}"
    if command.kind == "kill" and who[0] not in dead:
        dead.add(who[0])
        return f"fail: {who[0]}"
    if command.kind == "return" and who[0] in dead:
        dead.discard(who[0])
        return f"recover: {who[0]}"
    if command.kind == "join" and len(names) < len(NAMES):
        names.append(NAMES[len(names)])
        return f"join: {names[-1]}"
    if command.kind == "slow":
        return f"link: {{between: {link}, latency: {much // 1000}ms}}"
    if command.kind == "drift" and who[0] != MANAGER:
        return f"clock: {{ensemble: {who[0]}, drift: {much}ppm}}"
    if command.kind == "step" and who[0] != MANAGER:
        return f"clock: {{ensemble: {who[0]}, step: {much // 1000}ms}}"
    return ""


def _replace(command: Command, program: int) -> str:
    (version,) = command.who
    dropped = ", ".join(drops(program, version))
    drop = f", drop-state: [{dropped}]" if dropped else ""
    return f"replace: {{program: g-{version}.py, watch: {command.much // 1000}ms{drop}}}"


def as_files(plan: Plan, folder: Path) -> str:
    """Write the program, its versions and the file of events into a folder; the command that runs them."""
    (folder / "g.py").write_text(source(plan.program))
    for version in {command.who[0] for command in plan.commands if command.kind == "replace"}:
        (folder / f"g-{version}.py").write_text(source(plan.program, version))
    (folder / "events.yaml").write_text(as_events(plan) + "\n")
    until = (plan.commands[-1].at if plan.commands else BEGIN) - BEGIN + SETTLES
    ensembles = "".join(f" --ensemble {name}" for name in plan.names)
    return f"ticktalk simulate {folder}/g.py{ensembles} --events {folder}/events.yaml --until {until // 1000}ms"
