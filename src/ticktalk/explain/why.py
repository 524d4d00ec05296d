"""Explanations of an output, or of a missing one: lines of text, and the tokens to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from ticktalk.counters import KINDS
from ticktalk.defaults import MAX_GAP
from ticktalk.durations import about, duration_text, instant_text, interval_text
from ticktalk.engine.firing.base import takes_full_tokens
from ticktalk.engine.firing_chain import keeps_state
from ticktalk.engine.matching import Waiting
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.errors import TTError
from ticktalk.explain.history import Came, History, Key, NotedFiring
from ticktalk.explain.least_change import Change, advice, changes, later_deadline, to_hold, to_meet
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.silence import Near, nearest
from ticktalk.json_text import shown_repr
from ticktalk.records import Sent
from ticktalk.time import INFINITY, Tick
from ticktalk.time.grid import instant_after, instant_at, last_instant

VALUE = 40
"""Characters of a value that are shown."""

DEEP = 50
"""SQs in a chain from a missing output back to its cause."""

SHIFTING = ("ADD_TIME_DELAY",)
"""Instructions that give a token another interval, by a delay."""

AROUND = 3
"""Tokens of a port that are compared with those of the others."""


@dataclass
class Bar:
    """A token as it is drawn: a label, its interval, its value, when it was sent, and whether it is in vain."""

    label: str
    start: Tick
    stop: Tick
    value: str
    sent: int | None
    depth: int
    lost: bool = False


@dataclass
class Explanation:
    """The explanation of an output, or of a missing one.

    Attributes:
        title: what is explained.
        lines: the explanation, each with how deep it stands.
        bars: the tokens in it, as they are drawn.
        tokens: the same by arc and number, the explained one first; empty: it is missing.
        changes: the changes with which tokens that missed one another would have met.
        outside: an instant did not come though it was due, or a token that was sent: no change of the program is
            looked for.
        tries: the changes with which a missing output may come, these among them; only a run says (`helping_changes`).
        asked: the root tick for which an output is missing.
    """

    title: str
    lines: list[tuple[int, str]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    tokens: list[Key] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    outside: bool = False
    tries: list[Change] = field(default_factory=list)
    asked: int | None = None

    def text(self) -> str:
        """The explanation as text."""
        return "\n".join([self.title, *map(indented, self.lines)])


def indented(line: tuple[int, str]) -> str:
    """A line of an explanation as text; with it comes how deep it stands."""
    depth, text = line
    return "  " * (depth + 1) + text


Shown = Callable[[bytes], str]
"""Shows an encoded value."""


def token_at(history: History, what: str, tick: int) -> Key:
    """The token of an arc, an SQ or a variable whose interval holds a root tick; of several, the narrowest one.

    Raises:
        TTError: there is no such arc, or no such token: the message says which are near.
    """
    arcs = _arcs(history, what)
    tokens = [(key, sent) for key, sent in history.tokens.items() if sent.arc in arcs]
    there = [(sent.stop - sent.start, sent.start, key) for key, sent in tokens if sent.start <= tick < sent.stop]
    if there:
        return min(there)[2]
    near = sorted(tokens, key=lambda entry: distance(tick, entry[1].start, entry[1].stop))[:2]
    others = " and ".join(interval_text(sent.start, sent.stop) for _, sent in near)
    hint = f"the nearest are {others}" if near else "it gave none at all"
    ask = f"--missing {what}@{duration_text(tick)}"
    raise TTError(f"{what} gave nothing at {instant_text(tick)} ({hint}): {ask} says why")


def why(history: History, key: Key, shown: Shown) -> Explanation:
    """The tokens that one came from, back to the sources."""
    sent = history.tokens[key]
    made = Explanation(f"{_name(history, key)} gave {shown(sent.value)} on {interval_text(sent.start, sent.stop)}")
    made.tokens = history.sources_of(key)
    by_name = wiring_of(history.graph).by_name
    seen: set[Key] = set()
    waits: list[tuple[Key, str, int]] = [(key, "", 0)]
    while waits:
        each, port, depth = waits.pop()
        made.lines.append((depth, _token_line(history, each, port, shown, each in seen)))
        if each in seen or each not in history.tokens:
            continue
        seen.add(each)
        made.bars.append(_bar(history, each, port, depth, shown))
        firing = history.sender.get(each)
        if firing is None:
            made.lines.append((depth + 1, "the recording does not say which firing sent it"))
            continue
        if firing.sq != history.tokens[each].sq:
            made.lines += [(depth + 1, told) for told in _deadline_lines(history, history.tokens[each], firing)]
        state = ", with its state of earlier firings" if keeps_state(by_name[firing.sq]) else ""
        made.lines.append((depth + 1, _firing_line(firing) + state))
        took = [(came.key, _port(history, came)) for came in firing.took if came.record.arc]
        took += [(came.key, _also(history, came)) for came in firing.also if came.record.arc]
        waits += [(came, as_what, depth + 2) for came, as_what in reversed(took)]
        if firing.unknown:
            more = f"{firing.unknown} more token" + "s" * (firing.unknown > 1)
            before = f"they waited when the SQ moved to {firing.ensemble}, or were not recorded"
            made.lines.append((depth + 2, f"it took {more}, and the recording does not say which: {before}"))
        inputs = [_port(history, came) for came in firing.took if not came.record.arc]
        if inputs:
            made.lines.append((depth + 2, f"{', '.join(inputs)}: of the graph's inputs, without end"))
    return made


def why_missing(history: History, sq_name: str, tick: int, shown: Shown) -> Explanation:
    """The reason that an SQ gave nothing for a root tick: back along the ports that had nothing, to the cause.

    Raises:
        TTError: there is no such SQ.
    """
    by_name = wiring_of(history.graph).by_name
    name = sq_of(history, sq_name)
    made = Explanation(f"{name} at {instant_text(tick)}", asked=tick)
    seen: set[tuple[str, int]] = set()
    waits = [(name, tick, 0)]
    while waits and len(seen) < DEEP:
        each, at, depth = waits.pop()
        if (each, at) in seen:
            continue
        seen.add((each, at))
        before = _missing(history, by_name[each], at, depth, made, shown)
        waits += [(producer, then, depth + 1) for producer, then in reversed(before)]
    first = [change for change in made.tries if change.setting == "TTTimeDeadline"]
    there = tick <= history.last and not made.outside  # else what is missing is a longer run, or an ensemble
    made.tries = list(dict.fromkeys([*first, *made.changes, *made.tries])) if there else []
    return made


def sq_of(history: History, what: str) -> str:
    """The SQ that a name stands for: its own, an arc of it, or a variable.

    Raises:
        TTError: there is none.
    """
    if what in wiring_of(history.graph).by_name:
        return what
    return next(arc.rpartition("/")[0] for arc in _arcs(history, what))


def _missing(
    history: History, sq: TTSQ, tick: int, depth: int, made: Explanation, shown: Shown
) -> list[tuple[str, int]]:
    """Say why one SQ gave nothing; the SQs before it that have to be asked next, and for which tick."""

    def say(line: str, more: int = 0) -> None:
        made.lines.append((depth + more, line))

    unused = [f"{sq.name}/{index}" for index, arc in enumerate(sq.arcs) if arc.kind == "unmatched"]  # no results
    results = [(key, each) for key, each in history.tokens.items() if each.sq == sq.name and each.arc not in unused]
    sent = [key for key, each in results if each.start <= tick < each.stop]
    fired = [firing for firing in history.firings[sq.name] if firing.start <= tick < firing.stop]
    if takes_full_tokens(sq) and sq.function != "IF":
        fired = []  # its results hold at other times than its firings
    if sent and not fired:
        say(f"{sq.name}: it did send: {', '.join(_name(history, key) for key in sent)}")
        return []
    for firing in fired:
        say(f"{sq.name}: {_firing_line(firing)}, and {_outcome(history, firing, tick)}")
    if fired:
        return []
    if sq.trigger == "grid":
        say(f"{sq.name}: {_no_instant(history, sq, tick)}")
        settings = list(_to_hold(history, sq, tick))
        made.tries += settings
        made.outside |= not settings
        return []
    own = sq.function in SHIFTING and not sq.body  # its tokens hold at another time than those it takes
    asked = tick - decode_constant(sq.instruction["delay"]) if own else tick
    by_port = {port: _at_port(history, sq, port, asked) for port, each in enumerate(sq.ports) if each.constant is None}
    for each in history.deadlines[sq.name]:
        if each.how == "missed" and each.start <= tick < each.stop:
            say(f"{sq.name}: its deadline {instant_text(each.due)} passed without data")
            late = [came.record.tick for came in by_port.get(0, ()) if _meets(came, each.start, each.stop)]
            made.tries += [later_deadline(sq.name, int(min(late) - each.due) + 1)] if late else []
    empty = [port for port, tokens in by_port.items() if not any(_holds(came, asked) for came in tokens)]
    for port, tokens in by_port.items():
        for came in sorted(tokens, key=lambda came: came.record.start):
            if _holds(came, asked) or (came.left is not None and came is tokens[0]):
                say(f"{sq.name}: `{sq.ports[port].name}` {_came_line(history, came, shown)}")
            if came.key in history.tokens:
                made.bars.append(_bar(history, came.key, f"{sq.name}.{sq.ports[port].name}", depth, shown, lost=True))
    before: list[tuple[str, int]] = []
    for port in empty:
        lost = _sent_in_vain(history, sq, port, asked)
        if lost is not None:
            later = any(
                came.record.arc == lost.arc and came.record.token > lost.number for came in history.came[sq.name]
            )
            made.outside |= later
            absence = history.absence(sq.name, lost.tick)
            if absence is not None and absence.until is not None:
                fate = f"was lost; {absence.text}"
            else:
                fate = "was lost on its way: by a cut, a failure, a full inbox" if later else "had not come by the end"
            say(
                f"{sq.name}: `{sq.ports[port].name}` never got the token {interval_text(lost.start, lost.stop)}, which"
                f" {lost.sq} sent at {instant_text(lost.tick)}: it {fate}"
            )
            continue
        say(f"{sq.name}: nothing that holds at {instant_text(asked)} came on `{sq.ports[port].name}`")
        before += [(arc.rpartition("/")[0], asked) for arc in history.producers(sq.name, port)]
    if sq.function == "RESAMPLE" and not sq.body:
        for change in _larger_gap(history, sq, tick):
            say(f"{sq.name}: the samples before and after are too far apart: {change.text} would be enough")
            made.tries.append(change)
    near, others = _nearest(sq, by_port)
    if near is not None and (not empty or len(empty) < len(by_port)):
        first, start, stop, second, begin, end = near
        say(
            f"{sq.name}: nearest miss: `{first}` has {interval_text(start, stop)} and `{second}` has"
            f" {interval_text(begin, end)}, {about(begin - stop)} apart; {advice(history.graph, sq.name, near, others)}"
        )
        made.changes += changes(history.graph, sq.name, near, others)
    if len(by_port) > 1 and sq.trigger != "plan_b":
        nearest = {
            port: (int(tokens[0].record.start), int(tokens[0].record.stop))
            for port, tokens in by_port.items()
            if tokens and INFINITY not in (abs(tokens[0].record.start), abs(tokens[0].record.stop))
        }
        made.tries += to_meet(history.graph, sq.name, asked, nearest)
    return before


def _to_hold(history: History, sq: TTSQ, tick: int) -> Iterator[Change]:
    """The changes of a stream with which a token of it may hold at a tick."""
    absence = history.absence(sq.name, tick)
    if absence is not None and absence.until is not None:
        return
    if any(each.kind == "skipped" and abs(each.tick - tick) <= 2 * sq.every for each in history.counted[sq.name]):
        yield Change(sq.name, "TTMissed", 0, f'TTMissed="catch-up" of {sq.name}')
    if _instant_for(history, sq, tick) is not None and history.firings[sq.name]:
        return  # no setting of it keeps it from coming
    firings = history.firings[sq.name]
    near = min(firings, key=lambda firing: distance(tick, firing.start, firing.stop), default=None)
    first = instant_after(history.begun, sq.every, sq.phase) - history.begun
    centre = first if near is None else int(near.start) + sq.width // 2
    yield from to_hold(history.graph, sq, centre, tick, history.begun)


def _larger_gap(history: History, sq: TTSQ, tick: int) -> Iterator[Change]:
    """The `TTMaxGap` with which a RESAMPLE would have given something for a tick between two samples."""
    most = decode_constant(sq.instruction.get("TTMaxGap")) or MAX_GAP
    centres = sorted({int(came.record.start + came.record.stop) // 2 for came in history.came[sq.name]})
    for one, other in pairwise(centres):
        if one - sq.width <= tick < other + sq.width and other - one > most:
            yield Change(sq.name, "TTMaxGap", other - one, f"TTMaxGap={other - one} of {sq.name}")


def _meets(came: Came, start: Tick, stop: Tick) -> bool:
    return max(came.record.start, start) < min(came.record.stop, stop)


def _holds(came: Came, tick: int) -> bool:
    return came.record.start <= tick < came.record.stop


def _at_port(history: History, sq: TTSQ, port: int, tick: int) -> list[Came]:
    """The tokens of a port that are nearest to a tick."""
    tokens = [came for came in history.came[sq.name] if came.record.port == port]
    tokens.sort(key=lambda came: (distance(tick, came.record.start, came.record.stop), came.record.start))
    return tokens[:AROUND]


def distance(tick: int, start: Tick, stop: Tick) -> Tick:
    """The root ticks between a tick and an interval; 0: the interval holds it."""
    return max(0, start - tick, tick - stop + 1)


def _nearest(sq: TTSQ, by_port: dict[int, list[Came]]) -> tuple[Near | None, list[tuple[str, Tick, Tick]]]:
    """The set of unused tokens, one of each port, that came closest, without an overlap (`hosted.silence.nearest`)."""
    free: dict[str, tuple[int, list[Waiting]]] = {}
    for port, tokens in by_port.items():
        here = [came.record for came in tokens if not came.used and not came.moved]
        free[sq.ports[port].name] = len(here), [(each.start, each.number, each.stop, None) for each in here]
    return nearest(free) if all(count for count, _ in free.values()) else (None, [])


def _sent_in_vain(history: History, sq: TTSQ, port: int, tick: int) -> Sent | None:
    """A token that holds at a tick, was sent to a port and has not come."""
    there = {came.key for came in history.came[sq.name]}
    arcs = history.producers(sq.name, port)
    for key, sent in history.tokens.items():
        if sent.arc in arcs and sent.start <= tick < sent.stop and key not in there:
            return sent
    return None


def _no_instant(history: History, sq: TTSQ, tick: int) -> str:
    instant = _instant_for(history, sq, tick)
    absence = None if instant is None else history.absence(sq.name, instant)
    if instant is not None and absence is not None and absence.until is not None:
        return f"its instant at {instant_text(instant)} did not come: {absence.text}"
    around = 2 * max(sq.width, int(sq.every))
    counted = [each for each in history.counted[sq.name] if abs(each.tick - tick) <= around and each.kind != "lost"]
    if counted:
        told = (f"{each.kind} at {instant_text(each.tick)}: {KINDS.get(each.kind, '')}" for each in counted)
        due = f"its instant at {instant_text(instant)} did not come; " if instant is not None else ""
        return due + "; ".join([*dict.fromkeys(told)][:3])
    starts = [firing.start for firing in history.firings[sq.name]]
    if not starts:
        return "it never fired: its inputs left no window, or had not come"
    near = min(history.firings[sq.name], key=lambda firing: distance(tick, firing.start, firing.stop))
    if tick >= near.stop and near.tick + sq.every > history.last:
        there = interval_text(near.start, near.stop)
        ends = f"its last instant has {there}, and what is recorded ends at {instant_text(history.last)}"
        return f"{ends}: a longer run, or its ensemble {near.ensemble!r} had failed"
    if instant is not None:
        why = absence.text if absence is not None else "it was cut off or stood still, or its inputs did not hold then"
        nearest = interval_text(near.start, near.stop)
        return f"its instant at {instant_text(instant)} did not come; the nearest has {nearest}: {why}"
    return (
        f"no instant has an interval that holds this tick; the nearest is {interval_text(near.start, near.stop)}:"
        " a wider TTDataIntervalWidth, a shorter TTPeriod, or another TTPhase"
    )


def _instant_for(history: History, sq: TTSQ, tick: int) -> int | None:
    """The instant of a stream whose interval holds a tick, by its period; None: there is none."""
    reach = sq.width - 1 - sq.width // 2
    last = last_instant(history.begun + tick + sq.width // 2, sq.every, sq.phase)
    instant = instant_at(last, sq.every, sq.phase) - history.begun
    return instant if instant > 0 and instant + reach >= tick else None


def _outcome(history: History, firing: NotedFiring, tick: int) -> str:
    ran = firing.ran
    if firing.how == "met" or (ran is not None and ran.outcome == "sent"):
        return f"it did send: {', '.join(_name(history, key) for key in firing.sent) or 'parts that nobody consumes'}"
    if ran is None:
        after = [each.kind for each in history.counted[firing.sq] if each.tick >= firing.tick]
        for kind in ("busy", "skipped", "lost", "late_results"):
            if kind in after:
                return f"its body did not run, or its result did not count: {kind} ({KINDS[kind]})"
        return "its body has not ended, as far as the recording goes"
    if wiring_of(history.graph).by_name[firing.sq].function == "IF":
        return "the other branch was taken"
    return "its body raised" if ran.outcome == "failed" else "its body gave nothing (TTEmpty)"


def _came_line(history: History, came: Came, shown: Shown) -> str:
    record = came.record
    line = f"had {interval_text(record.start, record.stop)} since {instant_text(record.tick)}"
    if came.left is not None:
        left, ports = came.left, ", ".join(came.left.missing) if came.left.why != "late" else ""
        missing = f", for it nothing came on {ports}" if ports else ""
        return f"{line}; it left at {instant_text(left.tick)}: {left.why} ({KINDS.get(left.why, '')}){missing}"
    if came.used:
        firing = came.used[0]
        return f"{line}; it went into the firing on {interval_text(firing.start, firing.stop)}"
    if came.moved:
        return f"{line}; it waited when the SQ moved to {came.moved}, and the recording does not say what became of it"
    return f"{line}; it still waited at the end"


def _token_line(history: History, key: Key, port: str, shown: Shown, again: bool) -> str:
    of = f"{port}: " if port else ""
    sent = history.tokens.get(key)
    if sent is None:
        return f"{of}{_name(history, key)}: the recording does not have it"
    line = f"{of}{_name(history, key)} = {shown(sent.value)} on {interval_text(sent.start, sent.stop)}"
    return f"{line} (as above)" if again else f"{line}, sent at {instant_text(sent.tick)}"


def _firing_line(firing: NotedFiring) -> str:
    what = {"fired": "fired", "met": "data met its deadline", "left": "a token left unused"}[firing.how]
    line = f"{what} at {instant_text(firing.tick)} on {firing.ensemble}, on {interval_text(firing.start, firing.stop)}"
    took = firing.ran.ended - firing.ran.began if firing.ran is not None else 0
    waited = firing.ran.began - firing.tick if firing.ran is not None else 0
    line += f", began {about(waited)} later" if waited > 0 else ""
    return line + (f", took {about(took)}" if took > 0 else "")


def _deadline_lines(history: History, sent: Sent, plan_b: NotedFiring) -> Iterator[str]:
    """The reason for a token of a plan B: the deadline that passed, and the data that came too late for it."""
    for missed in history.deadlines[sent.sq]:
        if missed.how == "missed" and (missed.start, missed.stop) == (plan_b.start, plan_b.stop):
            yield f"the deadline {instant_text(missed.due)} passed without data, so {plan_b.sq}, its plan B,"
    for came in history.came[sent.sq]:
        record = came.record
        if came.left is not None and max(record.start, sent.start) < min(record.stop, sent.stop):
            yield f"(data on {interval_text(record.start, record.stop)} came at {instant_text(record.tick)}, too late)"


def _bar(history: History, key: Key, port: str, depth: int, shown: Shown, lost: bool = False) -> Bar:
    sent = history.tokens[key]
    label = f"{port} \N{LEFTWARDS ARROW} {_name(history, key)}" if port else _name(history, key)
    label = label.replace("`", "")
    return Bar(label, sent.start, sent.stop, shown(sent.value), sent.tick, depth, lost)


def _port(history: History, came: Came) -> str:
    return wiring_of(history.graph).by_name[came.record.sq].ports[came.record.port].name


def _also(history: History, came: Came) -> str:
    """The part of a token on which a firing stands besides those that it took."""
    of = wiring_of(history.graph).by_name[came.record.sq]
    return "deadline" if of.trigger == "deadline" else "the sample before"


def _name(history: History, key: Key) -> str:
    """A token's SQ, and the variable of its arc."""
    if not key[0]:
        return "an input of the graph"
    sq, _, index = key[0].rpartition("/")
    arc = wiring_of(history.graph).by_name[sq].arcs[int(index)]
    extra = "" if arc.kind == "value" else f" ({arc.kind})"
    return f"{sq} `{arc.name}`{extra}" if arc.name else f"{sq}{extra}"


def _arcs(history: History, what: str) -> list[str]:
    arcs = history.arc_of(what)
    if not arcs:
        names = sorted({sq.name for sq, _ in history.graph.outputs()})
        raise TTError(f"{history.graph.name} has no SQ, arc or variable {what!r}; its outputs are {', '.join(names)}")
    return arcs


def finite(bars: Iterable[Bar]) -> Iterator[Tick]:
    """The ends of intervals, and the ticks of sending, that are finite."""
    for bar in bars:
        yield from (tick for tick in (bar.start, bar.stop, bar.sent) if tick is not None and abs(tick) != INFINITY)


def shown_value(value: object) -> str:
    """A value, shortened."""
    text = shown_repr(value)
    return text if len(text) <= VALUE else text[: VALUE - 1] + "…"
