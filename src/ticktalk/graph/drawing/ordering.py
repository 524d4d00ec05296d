"""The order of the nodes in a layer, so that few wires cross; and the order of the lanes.

Barycenter sweeps (Sugiyama, Tagawa and Toda, 1981): left to right and back, each layer is sorted by the places of its
nodes' neighbours. The order with the fewest crossings wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Segment(NamedTuple):
    """A wire from one layer to the next: from `leaves` below the top of node `left` to `enters` below `right`'s."""

    left: int
    leaves: float
    right: int
    enters: float
    weight: float


def ordered_layers(
    columns: list[list[int]], lane: list[int], height: list[float], links: list[Segment]
) -> list[list[int]]:
    """The nodes of each layer from top to bottom.

    Args:
        columns: the nodes of each layer.
        lane: of each node, the rank of its lane: nodes of one lane stay together, in the order of ranks.
        height: of each node.
        links: wires between neighbouring layers.
    """
    before: list[list[tuple[int, float]]] = [[] for _ in lane]
    after: list[list[tuple[int, float]]] = [[] for _ in lane]
    between: list[list[tuple[int, float, int, float]]] = [[] for _ in columns]
    layer_of = {node: index for index, column in enumerate(columns) for node in column}
    for link in links:
        # Between wires of one box, the place at the box decides.
        leaves = link.leaves / (height[link.left] + 1)
        enters = link.enters / (height[link.right] + 1)
        before[link.right].append((link.left, leaves))
        after[link.left].append((link.right, enters))
        between[layer_of[link.left]].append((link.left, leaves, link.right, enters))
    columns = [sorted(column, key=lambda node: lane[node]) for column in columns]
    at = [0.0] * len(lane)
    for column in columns:
        for index, node in enumerate(column):
            at[node] = index
    best, fewest = columns, _crossings(between, at)
    for turn in range(20 if len(links) < 3_000 else 6):
        if not fewest:
            break
        rightwards = turn % 2 == 0
        neighbours = before if rightwards else after
        columns = [*columns]
        for index in range(len(columns)) if rightwards else range(len(columns) - 1, -1, -1):
            wanted = {}
            for node in columns[index]:
                places = [at[other] + part for other, part in neighbours[node]]
                wanted[node] = sum(places) / len(places) if places else at[node]
            # Equals stay in their order in one direction and swap in the other, which leaves local dead ends.
            nodes = columns[index] if turn % 4 < 2 else columns[index][::-1]
            columns[index] = sorted(nodes, key=lambda node: (lane[node], wanted[node]))
            for place, node in enumerate(columns[index]):
                at[node] = place
        crossings = _crossings(between, at)
        if crossings < fewest:
            best, fewest = columns, crossings
    if len(links) < 3_000 and fewest:
        best = _swapped(best, lane, before, after)
    return best


def _crossings(between: Iterable[list[tuple[int, float, int, float]]], at: list[float]) -> int:
    """The number of link pairs that cross: the inversions of their right ends when sorted by their left ends."""
    total = 0
    for links in between:
        ends = sorted((at[left] + leaves, at[right] + enters) for left, leaves, right, enters in links)
        rank = {end: index + 1 for index, end in enumerate(sorted({end for _, end in ends}))}
        # A Fenwick tree counts, for each right end, the earlier ones that lie below it.
        tree = [0] * (len(rank) + 1)
        for seen, (_, end) in enumerate(ends):
            index = rank[end]
            above = 0
            while index:
                above += tree[index]
                index &= index - 1
            total += seen - above
            index = rank[end]
            while index < len(tree):
                tree[index] += 1
                index += index & -index
    return total


def _swapped(
    columns: list[list[int]],
    lane: list[int],
    before: list[list[tuple[int, float]]],
    after: list[list[tuple[int, float]]],
) -> list[list[int]]:
    """Swap neighbours of a layer while that saves crossings."""
    columns = [[*column] for column in columns]
    at = [0.0] * len(lane)
    for column in columns:
        for index, node in enumerate(column):
            at[node] = index

    def crossed(upper: int, lower: int) -> int:
        return sum(at[a] + x > at[b] + y for side in (before, after) for a, x in side[upper] for b, y in side[lower])

    for _ in range(8):
        changed = False
        for column in columns:
            for index in range(len(column) - 1):
                upper, lower = column[index], column[index + 1]
                if lane[upper] == lane[lower] and crossed(upper, lower) > crossed(lower, upper):
                    column[index], column[index + 1] = lower, upper
                    at[upper], at[lower] = at[lower], at[upper]
                    changed = True
        if not changed:
            break
    return columns


def ordered_lanes(count: int, wires: Iterable[tuple[int, int]]) -> list[int]:
    """The rank of each lane from top to bottom, so that wires (lane, lane) between lanes are short."""
    ties: list[dict[int, int]] = [{} for _ in range(count)]
    for left, right in wires:
        if left != right:
            ties[left][right] = ties[left].get(right, 0) + 1
            ties[right][left] = ties[right].get(left, 0) + 1
    order: list[int] = list(range(count))
    if 2 < count <= 40:
        order = []
        for lane in range(count):
            order = _inserted(order, lane, ties)
        for lane in [*range(count)] * 2:
            order.remove(lane)
            order = _inserted(order, lane, ties)
    rank = [0] * count
    for index, lane in enumerate(order):
        rank[lane] = index
    return rank


def _inserted(order: list[int], lane: int, ties: list[dict[int, int]]) -> list[int]:
    """`order` with `lane` where ties are shortest in all; as far down as may be."""
    best, shortest = [*order, lane], -1
    for index in range(len(order), -1, -1):
        tried = [*order[:index], lane, *order[index:]]
        at = {one: place for place, one in enumerate(tried)}
        length = sum(n * abs(at[a] - at[b]) for a in tried for b, n in ties[a].items() if b in at)
        if shortest < 0 or length < shortest:
            best, shortest = tried, length
    return best
