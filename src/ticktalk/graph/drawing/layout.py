"""The places of boxes and wires: layers from left to right, lanes from top to bottom.

A box's layer is the length of the longest path to it, so every wire goes to the right. A wire that passes layers gets a
bend in each, which takes room there like a box: wires never run through boxes. A lane is a horizontal band
with the boxes of one host, so hosts are rectangles that do not overlap. All lengths are in pixels.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from ticktalk.graph.drawing.ordering import Segment, ordered_lanes, ordered_layers

# More bends than this are no picture any more: the longest wires run below all boxes instead.
MOST_BENDS = 40_000

BOX_GAP = 22.0
BEND_GAP = 11.0
TRACK_GAP = 8.0
LANE_GAP = 20.0
LANE_SLACK = 24.0  # more than its fullest layer needs, so that there is a choice
SNAP = 30.0  # a box moves this far to make a wire straight
CURVE = 46.0  # the least room between two layers for wires to change height
ARROW = 12.0  # the straight end of a wire before a box
PADDING = 16.0  # of a lane that is framed, left and right of its boxes
HEAD = 30.0  # and above them, for its name
FOOT = 16.0

Point = tuple[float, float]


@dataclass(eq=False, slots=True)
class Box:
    """A box, at which wires begin and end.

    Attributes:
        width, height: its size. The width may grow to that of its layer.
        lane: index of the lane it is in.
        side: "first" and "last" boxes stand left and right of all others.
        late: it stands as far right as the boxes that it leads to allow.
        layer, x, y: where `place` puts it: its left upper corner.
    """

    width: float
    height: float
    lane: int = 0
    side: Literal["first", "middle", "last"] = "middle"
    late: bool = False
    layer: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass(eq=False, slots=True)
class Wire:
    """A wire from one box to some others, all of which come later in the list of boxes.

    Attributes:
        source: index of the box it begins at, on its right edge.
        leaves: the distance of its begin from the box's top.
        ends: index of a box, and how far below its top the wire ends, on its left edge.
        label: the width of the text at its begin.
        routes: for each end the points that the wire passes, as `place` finds them. Between two of one height it is
            straight, else a curve that begins and ends horizontally. Several ends share their way: a route
            begins where it leaves the longest one.
    """

    source: int
    leaves: float
    ends: list[tuple[int, float]]
    label: float = 0.0
    routes: list[list[Point]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Lane:
    """A band; a framed one gets a rectangle around its boxes: `x`, `y`, `width`, `height` (0: it has no box)."""

    framed: bool
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


def place(boxes: list[Box], wires: list[Wire], lanes: list[Lane]) -> tuple[float, float]:
    """Set the place of every box, wire and lane; gives the size of the whole.

    Args:
        boxes: wires go from earlier ones to later ones.
        wires: each with at least one end.
        lanes: in any order; lanes with wires between them are placed near one another.
    """
    _set_layers(boxes, wires)
    layout = _Layout(boxes, wires, lanes)
    layout.set_heights()
    return layout.set_widths()


def _set_layers(boxes: list[Box], wires: list[Wire]) -> None:
    begins: list[list[int]] = [[] for _ in boxes]
    for wire in wires:
        begins[wire.source] += [end for end, _ in wire.ends]
    first = 1 if any(box.side == "first" for box in boxes) else 0
    for box in boxes:
        box.layer = first if box.side == "middle" else 0
    for box, ends in zip(boxes, begins, strict=True):
        for end in ends:
            boxes[end].layer = max(boxes[end].layer, box.layer + 1)
    last = 1 + max((box.layer for box in boxes if box.side != "last"), default=-1)
    for index in range(len(boxes) - 1, -1, -1):
        box = boxes[index]
        if box.side == "last":
            box.layer = last
        elif box.late and begins[index]:
            box.layer = max(first, min(boxes[end].layer for end in begins[index]) - 1)


class _Layout:
    """Boxes and, after them, the bends of wires as nodes 0, 1, ... in layers."""

    def __init__(self, boxes: list[Box], wires: list[Wire], lanes: list[Lane]) -> None:
        self.boxes = boxes
        self.wires = wires
        self.lanes = lanes
        self.layer = [box.layer for box in boxes]
        self.lane = [box.lane for box in boxes]
        self.height = [box.height for box in boxes]
        self.y = [0.0] * len(boxes)
        self.bends: list[range] = []  # of each wire, one a layer
        self.tracks: dict[int, int] = {}  # wires that run below all boxes, and in which of the tracks there
        self.links: list[Segment] = []
        self._bend()
        self.columns: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for node, layer in enumerate(self.layer):
            self.columns[layer].append(node)

    def _bend(self) -> None:
        boxes, wires = self.boxes, self.wires
        spans = [max(boxes[end].layer for end, _ in wire.ends) - boxes[wire.source].layer - 1 for wire in wires]
        left = MOST_BENDS
        for index in sorted(range(len(wires)), key=lambda index: spans[index]):
            left -= spans[index]
            if left < 0:
                self.tracks[index] = 0
        for index, wire in enumerate(wires):
            start = len(self.layer)
            source = boxes[wire.source]
            if index not in self.tracks:
                self.layer += range(source.layer + 1, source.layer + 1 + spans[index])
            self.bends.append(range(start, len(self.layer)))
            added = len(self.layer) - start
            self.lane += [source.lane] * added
            self.height += [0.0] * added
            self.y += [0.0] * added
            self._link(index, wire)
        self._share_tracks(spans)

    def _link(self, index: int, wire: Wire) -> None:
        source = self.boxes[wire.source]
        bends = self.bends[index]
        chain = [(wire.source, wire.leaves), *((bend, 0.0) for bend in bends)]
        for (left, leaves), (right, _) in pairwise(chain):
            self.links.append(Segment(left, leaves, right, 0.0, 2.0 if left == wire.source else 8.0))
        for end, enters in wire.ends:
            reached = self.boxes[end].layer - source.layer - 1
            if reached < len(chain):
                left, leaves = chain[reached]
                self.links.append(Segment(left, leaves, end, enters, 2.0 if reached else 1.0))

    def _share_tracks(self, spans: list[int]) -> None:
        free: list[tuple[int, int]] = []  # for each track, from which layer on it is free
        for index in sorted(self.tracks, key=lambda index: self.boxes[self.wires[index].source].layer):
            layer = self.boxes[self.wires[index].source].layer
            # Wires come by where they begin, so the track that is free first is as good as any.
            track = heapq.heappop(free)[1] if free and free[0][0] <= layer else len(free)
            heapq.heappush(free, (layer + spans[index] + 2, track))
            self.tracks[index] = track

    def set_heights(self) -> None:
        """Order the nodes of each layer, and set `y` of each."""
        rank_of_lane = ordered_lanes(
            len(self.lanes),
            [(self.boxes[wire.source].lane, self.boxes[end].lane) for wire in self.wires for end, _ in wire.ends],
        )
        rank = [rank_of_lane[lane] for lane in self.lane]
        self.columns = ordered_layers(self.columns, rank, self.height, self.links)
        runs = [self._runs(column) for column in self.columns]
        self._set_bands(rank_of_lane, runs)
        self._relax(runs)
        for _ in range(3):
            # The moves of one pass make room for the next.
            self._straighten(runs)
        for box, y in zip(self.boxes, self.y, strict=False):
            box.y = y

    def _runs(self, column: list[int]) -> list[tuple[int, list[int], list[float]]]:
        """The nodes of a column by lane, each with how far below the lane's first one it may begin at the least."""
        runs: list[tuple[int, list[int], list[float]]] = []
        for node in column:
            lane = self.lane[node]
            if not runs or runs[-1][0] != lane:
                runs.append((lane, [node], [0.0]))
                continue
            _, nodes, offsets = runs[-1]
            bent = (self.height[node] == 0) + (self.height[nodes[-1]] == 0)
            gap = BEND_GAP if bent == 2 else (BOX_GAP + BEND_GAP) / 2 if bent else BOX_GAP
            offsets.append(offsets[-1] + self.height[nodes[-1]] + gap)
            nodes.append(node)
        return runs

    def _set_bands(self, rank_of_lane: list[int], runs: list[list[tuple[int, list[int], list[float]]]]) -> None:
        room = [0.0] * len(self.lanes)
        for column in runs:
            for lane, nodes, offsets in column:
                room[lane] = max(room[lane], offsets[-1] + self.height[nodes[-1]])
        y = 0.0
        for lane in sorted(range(len(self.lanes)), key=lambda lane: rank_of_lane[lane]):
            band = self.lanes[lane]
            if not room[lane]:
                continue
            head, foot = (HEAD, FOOT) if band.framed else (0.0, 0.0)
            band.y = y + head
            band.height = room[lane] + LANE_SLACK
            y = band.y + band.height + foot + LANE_GAP
        self.bottom = max(0.0, y - LANE_GAP)

    def _relax(self, runs: list[list[tuple[int, list[int], list[float]]]]) -> None:
        """Move nodes towards their neighbours, within their lanes, until wires are as straight as may be."""
        before: list[list[tuple[int, float, float]]] = [[] for _ in self.layer]
        after: list[list[tuple[int, float, float]]] = [[] for _ in self.layer]
        for link in self.links:
            before[link.right].append((link.left, link.leaves - link.enters, link.weight))
            after[link.left].append((link.right, link.enters - link.leaves, link.weight))
        for column in runs:
            for lane, nodes, offsets in column:
                slack = self.lanes[lane].height - offsets[-1] - self.height[nodes[-1]]
                for node, offset in zip(nodes, offsets, strict=True):
                    self.y[node] = self.lanes[lane].y + slack / 2 + offset
        rounds = 24 if len(self.layer) < 20_000 else 8
        for turn in range(rounds):
            rightwards = turn % 2 == 0
            both = turn >= rounds - 6
            for column in runs if rightwards else reversed(runs):
                for lane, nodes, offsets in column:
                    towards = []
                    for node in nodes:
                        links = before[node] if rightwards else after[node]
                        if both or not links:
                            links = before[node] + after[node]
                        weight = sum(link[2] for link in links)
                        if weight:
                            y = sum((self.y[other] + shift) * part for other, shift, part in links) / weight
                        else:
                            y, weight = self.y[node], 0.1
                        towards.append((y, weight))
                    top = self.lanes[lane].y
                    slack = self.lanes[lane].height - offsets[-1] - self.height[nodes[-1]]
                    places = _nearest(towards, offsets, top, top + slack)
                    for node, y in zip(nodes, places, strict=True):
                        self.y[node] = y

    def _straighten(self, runs: list[list[tuple[int, list[int], list[float]]]]) -> None:
        """From left to right, take out small steps of wires, as far as the order in each layer allows."""
        before: list[list[tuple[int, float]]] = [[] for _ in self.layer]
        for link in self.links:
            before[link.right].append((link.left, link.leaves - link.enters))
        for column in runs:
            for lane, nodes, offsets in column:
                bottom = self.lanes[lane].y + self.lanes[lane].height
                for index, node in enumerate(nodes):
                    steps = [self.y[other] + shift - self.y[node] for other, shift in before[node]]
                    step = min(steps, key=abs, default=0.0)
                    if self.height[node] and abs(step) > SNAP:
                        continue
                    low, high = self.lanes[lane].y, bottom - self.height[node]
                    if index:
                        low = self.y[nodes[index - 1]] + offsets[index] - offsets[index - 1]
                    if index + 1 < len(nodes):
                        high = self.y[nodes[index + 1]] - offsets[index + 1] + offsets[index]
                    y = min(max(self.y[node] + step, low), high)
                    if not self.height[node] or y == self.y[node] + step:
                        self.y[node] = y

    def set_widths(self) -> tuple[float, float]:
        """Set x of boxes, the routes of wires and the frames of lanes; the size of the whole."""
        count = len(self.columns)
        width = [0.0] * count
        label = [0.0] * count
        framed = any(lane.framed for lane in self.lanes)
        for box in self.boxes:
            width[box.layer] = max(width[box.layer], box.width)
        for wire in self.wires:
            layer = self.boxes[wire.source].layer
            label[layer] = max(label[layer], wire.label)
        margin = [part + 8.0 + (PADDING if framed else 0.0) for part in label]
        steep = [0.0] * count
        for link in self.links:
            layer = self.layer[link.left]
            way = abs(self.y[link.left] + link.leaves - self.y[link.right] - link.enters)
            steep[layer] = max(steep[layer], way)
        left, right = [0.0] * count, [0.0] * count
        x = PADDING if framed else 0.0
        for layer in range(count):
            left[layer] = x
            right[layer] = x + width[layer]
            curve = CURVE + min(70.0, steep[layer] / 8)
            x = right[layer] + margin[layer] + curve + ARROW + (PADDING if framed else 0.0)
        for box in self.boxes:
            if box.side == "middle":
                box.width = width[box.layer]
            box.x = right[box.layer] - box.width if box.side == "first" else left[box.layer]
        enter = [at - ARROW for at in left]
        leave = [at + part for at, part in zip(right, margin, strict=True)]
        for index, wire in enumerate(self.wires):
            wire.routes = self._routes(index, wire, enter, leave)
        self._frame(left, [at + part + 8.0 for at, part in zip(right, label, strict=True)])
        whole = max((box.x + box.width for box in self.boxes), default=0.0)
        whole = max(whole, max((lane.x + lane.width for lane in self.lanes), default=0.0))
        bottom = max((lane.y + lane.height for lane in self.lanes), default=0.0)
        tracks = 1 + max(self.tracks.values(), default=-1)
        return whole, max(bottom, self.bottom + tracks * TRACK_GAP)

    def _routes(self, index: int, wire: Wire, enter: list[float], leave: list[float]) -> list[list[Point]]:
        source = self.boxes[wire.source]
        start = (source.x + source.width, source.y + wire.leaves)
        first = source.layer
        longest = max(range(len(wire.ends)), key=lambda k: self.boxes[wire.ends[k][0]].layer)
        below = None
        if index in self.tracks:
            below = self.bottom + TRACK_GAP * (self.tracks[index] + 1)
        routes = []
        for k, (end, enters) in enumerate(wire.ends):
            box = self.boxes[end]
            target = (box.x, box.y + enters)
            last = box.layer - 1
            if last == first:
                points = [start, (leave[first], start[1])]
            elif k == longest:
                points = [start, (leave[first], start[1])]
                if below is not None:
                    points += [(enter[first + 1], below), (leave[last], below)]
                else:
                    for bend in self.bends[index][: last - first]:
                        layer = self.layer[bend]
                        points += [(enter[layer], self.y[bend]), (leave[layer], self.y[bend])]
            else:
                points = [(leave[last], below if below is not None else self.y[self.bends[index][last - first - 1]])]
            routes.append([*points, (enter[box.layer], target[1]), target])
        return routes

    def _frame(self, left: list[float], right: list[float]) -> None:
        for index, lane in enumerate(self.lanes):
            layers = [box.layer for box in self.boxes if box.lane == index and box.side == "middle"]
            if not lane.framed or not layers:
                lane.width = lane.height = 0.0
                continue
            inside = [box for box in self.boxes if box.lane == index and box.side == "middle"]
            lane.x = left[min(layers)] - PADDING
            lane.width = right[max(layers)] + PADDING / 2 - lane.x
            top = min(box.y for box in inside) - HEAD
            lane.height = max(box.y + box.height for box in inside) + FOOT - top
            lane.y = top


def _nearest(towards: Iterable[tuple[float, float]], offsets: list[float], low: float, high: float) -> list[float]:
    """Places nearest to where each node wants to be (place, weight), in order and apart by `offsets`, within bounds.

    Pooling of adjacent violators: nodes that would overlap are moved as one.
    """
    pools: list[tuple[float, float, int]] = []  # place of its first node less the offset, weight, nodes
    for (y, weight), offset in zip(towards, offsets, strict=True):
        pool = (y - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, heavy, size = pools.pop()
            total = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / total, total, size + pool[2])
        pools.append(pool)
    places = []
    for mean, _, size in pools:
        places += [min(max(mean, low), high)] * size
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
