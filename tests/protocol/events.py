"""A plan as a file of events for `ticktalk simulate --events`, as far as that knows what is done."""

from __future__ import annotations

from typing import get_args

from schedule import BEGIN, Command, Plan

from ticktalk.simulation import event_file

KINDS = get_args(event_file.Kind)


def as_events(plan: Plan) -> str:
    """The text of the file; what it cannot say stands in comments."""
    cuts: set[tuple[str, ...]] = set()
    dead: set[str] = set()
    lines = []
    for command in plan.commands:
        text = _event(command, cuts, dead)
        at = f"{max(0, command.at - BEGIN) // 1000}ms"
        if text:
            lines.append(f"- {{at: {at}, {text}}}")
        else:
            lines.append(f"# {at}: {command.kind} {' '.join(command.who)} {command.much or ''}".rstrip())
    return "\n".join(lines)


def _event(command: Command, cuts: set[tuple[str, ...]], dead: set[str]) -> str:
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
    if command.kind == "slow" and "link" in KINDS:
        return f"link: {{between: {link}, latency: {much // 1000}ms}}"
    if command.kind == "drift" and "clock" in KINDS:
        return f"clock: {{ensemble: {who[0]}, drift: {much}ppm}}"
    return ""
