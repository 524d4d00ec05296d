"""The certificate of a search: up to which bounds nothing changed, how that was found, and what changes beyond."""

from __future__ import annotations

import msgspec

from ticktalk.exploration.outcomes import FirstDifference


class Counterexample(msgspec.Struct, frozen=True):
    """Something that changes what the program does.

    Attributes:
        worse: by dimension, by how much, as text.
        difference: the first one.
        events: the file of events that makes a simulation so.
        seed: of the run.
        file: the name of that file, if it was written.
        replay: the command that shows it.
    """

    worse: dict[str, str]
    difference: FirstDifference
    events: str
    seed: int
    file: str = ""
    replay: str = ""


class AxisBound(msgspec.Struct, frozen=True):
    """The bound along one axis, with all else as the deployment file says.

    Attributes:
        dimension: its name; with `-` before it, the numbers below 0.
        safe: the largest value up to which every value that was tried changes nothing.
        safe_text: as people write it.
        end: nothing was found up to the end of what was searched.
        steady: worse was never better, in all that was tried.
        values: how many values were tried; `runs`: in how many runs.
        cases: in words, how a value was tried: a cut or a failure at which moments, chance with how many seeds; or "".
        first: the least that changes something.
    """

    dimension: str
    safe: int
    safe_text: str
    end: bool
    steady: bool
    values: int
    runs: int
    cases: str
    first: Counterexample | None

    @property
    def how(self) -> str:
        """The way it was found, in words that promise no more than was done."""
        runs = f"{self.runs} runs" + f", {self.cases}" * bool(self.cases)
        if self.end:
            return f"the end of the range: {runs}, no difference"
        if self.steady:
            return f"halving, {runs}: none below differs, all above do"
        return f"halving, {runs}: none below differs, not all above do"


class AllTogether(msgspec.Struct, frozen=True):
    """The finding for all dimensions at once.

    Attributes:
        percent: the part of every bound up to which no counterexample was found; 0: none was safe.
        runs: in how many runs.
        counterexample: the least that was found with all bounds, or a part of them.
    """

    percent: int
    runs: int
    counterexample: Counterexample | None

    @property
    def how(self) -> str:
        """The result as a sentence."""
        if not self.percent:
            return f"together: even 1% of all bounds at once changes something ({self.runs} runs)"
        part = "all bounds at once" if self.percent == 100 else f"{self.percent}% of all bounds at once"
        return f"together: no counterexample within {part}, in {self.runs} runs; that is no proof"


class Certificate(msgspec.Struct, frozen=True):
    """The bounds that a program stands.

    Attributes:
        program: its name.
        outputs: how many output tokens a run has, by SQ.
        runs: how many runs there were in all.
        bounds: along each axis.
        together: with all at once; None: nothing to search, or no two bounds above 0.
        unmet: bounds that were expected, and are not there, as sentences.
    """

    program: str
    outputs: dict[str, int]
    runs: int
    bounds: list[AxisBound]
    together: AllTogether | None
    unmet: list[str] = []

    @property
    def least(self) -> Counterexample | None:
        """The counterexample with the fewest changes: the first along an axis, else one with several."""
        found = [each.first for each in self.bounds if each.first is not None]
        if found:
            return found[0]
        return self.together.counterexample if self.together is not None else None
