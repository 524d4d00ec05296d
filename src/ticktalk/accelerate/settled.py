"""The repeating part of a simulation, from some tick on: its SQs, and the state of all at the begin of a period."""

from __future__ import annotations

from typing import Any

from ticktalk.accelerate.events import ABSENT, Leg, Part, StandIn, Unsettled
from ticktalk.accelerate.stand_ins import World
from ticktalk.accelerate.standing import Standing, flies

LOOKED_AHEAD = 8
"""Periods in which the stand-ins have to come to repeat themselves; after an absent value as many more."""


class Settled:
    """The repeating part of a simulation, from some tick on.

    Args:
        world: the stand-ins, as they are at `begin`.
        begin: the tick from which on periods are looked for.
        period: the ticks of one.
        apart: see `Plan`.

    Attributes:
        begin: the begin of the first period that ends as it began.
        saved: how the stand-ins are there.
        parts: the SQs at which something happens; `places`: their places.
        standing: the state of all at the begin of a period, and `values`: its values.
        needed: by id, the values there that may not be absent.
        optional: the places of those that may; None: that is not known yet.
        overtaken: a token waits for another one on its way.
        silent: by place, how often a firing that was planned has not been, as its input was absent.

    Raises:
        Unsettled: nothing repeats.
    """

    def __init__(self, world: World, begin: int, period: int, apart: bool) -> None:
        self.world, self.begin, self.period, self.apart = world, begin, period, apart
        self.saved = self._settle()
        self.places = {part.index for part in self.parts}
        world.load(self.saved)
        self.standing = world.standing(self.begin, ABSENT)
        self.values: list[StandIn] = self.standing.values_of(self.parts)
        for place, value in enumerate(self.values):
            value.event, value.name = -1, f"c{place}"  # those before are forgotten
        self.needed = {id(value) for _, each in self.standing.flying if self.counted(each.leg) for value in each.values}
        self.optional: set[int] | None = None
        self.overtaken = False
        self.silent = [0] * len(world.parts)

    def _settle(self) -> Any:
        """Run the stand-ins until a period ends as it began; gives how they stand at its begin (`World.load`)."""
        world = self.world
        for _ in range(LOOKED_AHEAD):
            for part in world.parts:
                part.active = False
            world.begin_anew()
            lags = [part.lag for part in world.parts]
            saved, before = world.save(), world.standing(self.begin, ABSENT)
            world.run(self.begin + self.period)
            after = world.standing(self.begin + self.period, ABSENT)
            self.parts = [part for part in world.parts if part.active]
            # What is known of a number that was there before may not be known of those that come after it.
            guessed = any(value.event < 0 and value.tick is not None for value in before.values_of(world.parts))
            lasts = all(before.lasts.get(part.index) == after.lasts.get(part.index) for part in self.parts)
            if lasts and not guessed and lags == [part.lag for part in world.parts] and before.same(after, self.parts):
                self.parts = self._with_choices()
                return saved
            self.begin += self.period
        raise Unsettled("it does not come to repeat itself")

    def _with_choices(self) -> list[Part]:
        """The SQs at which something happens, and those behind a condition, whatever that was."""
        found = {part.index: part for part in self.parts}
        behind = [event.part for event in self.world.events if event.asked is not None]
        while behind:
            part = behind.pop()
            found[part.index] = part
            behind += [taker for leg in part.legs for taker, _ in leg.to if taker.index not in found]
        return [found[index] for index in sorted(found)]

    def match(self, standing: Standing, absent: Any) -> list[Any] | None:
        """The values, if all stands as at the begin of a period; `absent` for those that may be, and are.

        None: it stands otherwise.
        """
        mine = self.standing
        if not mine.same_rules(standing, self.parts):
            return None
        for link in {*standing.latest, *mine.latest} if standing.latest != mine.latest else ():
            latest, planned = standing.latest.get(link, 0), mine.latest.get(link, 0)
            if latest > planned or (latest < planned and self.overtaken):
                return None
        if any(standing.lasts[place] > mine.lasts[place] for place in self.places & mine.lasts.keys()):
            return None
        values = [value for part in self.parts for value in standing.values[part.index]]
        there = standing.flying[::-1]
        for since, flying in mine.flying:
            if there and flies(*there[-1]) == flies(since, flying):
                values += there.pop()[1].values
                continue
            places = set(range(len(values), len(values) + len(flying.values)))
            if self.optional is None or not places or not places <= self.optional:
                return None
            values += [absent] * len(places)
        lacking = {place for place, value in enumerate(values) if value is absent}
        return None if there or not lacking <= (self.optional or set()) else values

    def counted(self, leg: Leg) -> bool:
        """True if it is told how many tokens go there, so that none may be absent."""
        return bool(leg.size or (leg.host and self.world.links.numbered))
