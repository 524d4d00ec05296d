"""Makes a failing run smaller: fewer commands, a shorter list of ensembles, as long as the same invariant is broken."""

from __future__ import annotations

from plans import Plan
from played_run import Run


def broken(plan: Plan) -> tuple[str, str]:
    """The invariant that a run breaks, and how; both empty: none."""
    try:
        Run(plan).go()
    except Exception as error:
        which = getattr(error, "which", type(error).__name__)
        return which, str(error)
    return "", ""


def shrink(plan: Plan, which: str, tries: int = 200) -> Plan:
    """The smallest plan that was found and breaks the same invariant."""
    size = max(1, len(plan.commands) // 2)
    while size and tries > 0:
        at = 0
        while at < len(plan.commands) and tries > 0:
            less = plan._replace(commands=plan.commands[:at] + plan.commands[at + size :])
            tries -= 1
            if broken(less)[0] == which:
                plan = less
            else:
                at += size
        size //= 2
    for change in ({"length": 0}, {"checkpoint": 0}):
        less = plan._replace(**change)
        if broken(less)[0] == which:
            plan = less
    return plan
