"""Checks the types of values along the arcs of a graph: what a result's annotation says against a parameter's.

Each SQ's result has a type: that of its function's annotation, or what an instruction makes of its inputs' types. Where
nothing is said, nothing is checked. A value can have come on several ways (`MERGE`, a plan B); each way is checked by
itself, and named in the message.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import islice, product
from typing import Any, SupportsIndex

import msgspec
from msgspec.structs import replace

from ticktalk.graph.constants import decode_constant
from ticktalk.instructions import INSTRUCTIONS, Instruction
from ticktalk.language import folding
from ticktalk.language.annotations import Annotations
from ticktalk.language.evaluation import Reference
from ticktalk.language.function_templates import Template
from ticktalk.language.graph_draft import Arc, Constant, GraphDraft, InputDraft, SQDraft
from ticktalk.language.input_types import input_type
from ticktalk.language.value_types import (
    ANY,
    BOOL,
    NONE,
    InstanceType,
    KnownValue,
    ProgramClass,
    Solution,
    TupleOf,
    Type,
    UnionOf,
    bounded,
    can_meet,
    fits,
    forget,
    item_of,
    substituted,
    union,
)
from ticktalk.source_problems import Place, Problems

_TICK = UnionOf((InstanceType(float), InstanceType(SupportsIndex)))
"""The types that a deadline takes."""
MOST_WAYS = 8
"""Ways on which a value can have come: with more, its type is not known."""

_SAMPLES: dict[type, Any] = {
    type(None): None, bool: True, int: 1, float: 1.0, complex: 1j, str: "a", bytes: b"a", list: [], tuple: (),
    dict: {}, set: set(), frozenset: frozenset(), slice: slice(None),
}  # fmt: skip
"""A value of each class on which an instruction is tried to see what it gives."""

_HANDS_ON = frozenset({
    "SYSLOG", "RETURN", "UNPACK", "COPY_TTTIME", "ADD_TIME_DELAY", "SET_TIMEOUT", "RESAMPLE", "TTFinishByOtherwise",
})  # fmt: skip
"""Those whose result is their first input."""
_MEETING = frozenset({"MERGE", "TTFinishByOtherwise"})
"""Those that give something also where nothing comes to one of their ports."""
_RESULTS: dict[str, Type] = {
    "TIME_TOKEN": InstanceType(int), "READ_TTCLOCK": InstanceType(int), "VALUES_TO_TTTIME": NONE, "NOT": BOOL,
    "IS": BOOL, "ISNOT": BOOL, "GET_INFINITY": InstanceType(float), "GET_NEG_INFINITY": InstanceType(float),
    "TTTIME_TO_VALUES": TupleOf((ANY, ANY)), "AND": ANY, "OR": ANY, "FORMAT": InstanceType(str),
    "MATH_POW": InstanceType(float),
}  # fmt: skip
"""Those whose result is of one type, whatever comes."""

_OF_VALUES = frozenset({"POW", "SUM", "PROD", "SUMPROD"})
"""Those whose result has a type that follows from the values, and not from their types alone."""

_COLLECTIONS = {"SORTED": list, "AS_LIST": list, "AS_TUPLE": tuple, "AS_SET": set, "FROZENSET": frozenset}
"""Those that give the items of their first input, by the class of what they give."""


class ValuePath(msgspec.Struct, frozen=True):
    """One way on which a value can have come.

    Attributes:
        type: of the value.
        said: for messages: who gives it, with its place.
        narrowed: a condition was between, and may have made sure of more than the type says.
        declared: an annotation says so, and not constants and displays alone.
    """

    type: Type
    said: str
    narrowed: bool = False
    declared: bool = True

    def fits(self, target: Type, solution: Solution | None = None) -> bool:
        """False if a value that came on this way is surely wrong where `target` is wanted."""
        if fits(self.type, target, solution):
            return True
        if self.narrowed:
            forget(target, solution)
        return self.narrowed and can_meet(self.type, target)


Ways = tuple[ValuePath, ...]
_UNKNOWN: Ways = (ValuePath(ANY, "", declared=False),)


_INTERVAL: Ways = (
    ValuePath(InstanceType(ProgramClass("TTTime")), "a handler is given the interval of a token, a `TTTime`"),
)
_MISSING: Ways = (
    ValuePath(InstanceType(tuple, (InstanceType(str),)), "a handler is given the names of inputs, `tuple[str, ...]`"),
)


class _Signature(msgspec.Struct):
    """The annotations of a function."""

    parameters: dict[str, tuple[Type, str, int]]  # type, as it is written, line
    result: Type
    shown: str


class ArcTypes:
    """Checks one graph: its mistakes go to `files`, the problems of each file in which calls stand."""

    def __init__(
        self, graph: Reference, draft: GraphDraft, annotations: Annotations, files: Mapping[str, Problems]
    ) -> None:
        self._graph = graph
        self._draft = draft
        self._annotations = annotations
        self._files = files
        self._ways: dict[SQDraft, Ways] = {}
        self._inputs: dict[InputDraft, Ways] = {}
        self._signatures: dict[str, _Signature | None] = {}
        self._streams: set[object] = set()  # the SQs behind a stream

    def check(self) -> None:
        """Report all values that are surely wrong where they go; the graph's inputs get their types."""
        for source in self._draft.inputs:
            self._of_input(source)
        for made in self._draft.sqs:
            if made.is_source or any(end is not None and end.source in self._streams for end in made.ends):
                self._streams.add(made)
            if any(not self._at(made, index) for index in range(len(made.ends))) and made.sq.function not in _MEETING:
                ways: Ways = ()  # it never fires
            else:
                ways = self._checked(made) if made.template is not None else self._computed(made)
            ways = tuple(replace(way, type=bounded(way.type)) for way in ways)
            self._ways[made] = ways if len(ways) <= MOST_WAYS else _UNKNOWN
            if made.sq.unpack is not None:
                self._check_unpacking(made)
        for given in self._draft.handed:
            type_ = self._annotations.type_of(given.module, given.annotation)
            for way in self._of_value(given.value) if type_ is not ANY else ():
                if not way.fits(type_):
                    wanted = f"`{given.graph}` takes `{ast.unparse(given.annotation)}` as `{given.parameter}`"
                    where = f"{given.shown}:{given.annotation.lineno}"
                    self._report(given.file, given.place, f"{wanted} ({where})", way)

    def _report(self, file: str, place: Place, wanted: str, way: ValuePath, instead: str = "") -> None:
        mend = "mend one of the two annotations, or put an SQ between that converts the value"
        if isinstance(way.type, KnownValue):
            mend = "give another value, or mend the annotation"
        self._files[file].report(place, f"{wanted}, but {way.said}", instead or mend)

    # -- functions of the program

    def _checked(self, made: SQDraft) -> Ways:
        """The types that a function gives; its arguments are checked."""
        template, sq = made.template, made.sq
        assert template is not None
        if template.key not in self._signatures:
            self._signatures[template.key] = self._signature(template)
        signature = self._signatures[template.key]
        if signature is None:
            return _UNKNOWN
        solution: Solution = {}
        given: list[tuple[str, Ways]] = [
            (port.name, self._at(made, index)) for index, port in enumerate(sq.ports) if not port.hidden
        ]
        if sq.spread:
            given = self._unused(made, template)
        given += [(name, _constant(decode_constant(each))) for name, each in sq.parameters.items()]
        for name, ways in given:
            if name not in signature.parameters:
                continue
            type_, written, line = signature.parameters[name]
            for way in ways:
                if not way.fits(type_, solution):
                    wanted = f"`{template.name}` takes `{written}` as `{name}` ({template.file}:{line})"
                    self._report(sq.file, made.places.get(name, made.place), wanted, way)
        result = substituted(signature.result, solution)
        said = signature.shown if result == signature.result else f"{signature.shown}, here `{result}`"
        return () if result == UnionOf(()) else (ValuePath(result, said),)

    def _unused(self, made: SQDraft, template: Template) -> list[tuple[str, Ways]]:
        """The value that a handler gets: of a token of any port of its SQ, but of none that stays there."""
        assert made.ends[0] is not None and isinstance(made.ends[0].source, SQDraft)
        source = made.ends[0].source
        ports = [
            index
            for index, end in enumerate(source.ends)
            if end is not None and not source.is_source
            if end.source in self._streams or source not in self._streams
        ]
        values = tuple(dict.fromkeys(way for index in ports for way in self._at(source, index)))
        names = [parameter.name for parameter in template.parameters if parameter.default is None]
        return list(zip(names, (values, _INTERVAL, _MISSING), strict=True))

    def _signature(self, template: Template) -> _Signature | None:
        """The annotations of a function; None if there is nothing to know."""
        node = template.node
        if template.full_token or len(node.decorator_list) > 1:  # another decorator may change what it takes and gives
            return None
        if node.returns is None and all(parameter.annotation is None for parameter in template.parameters):
            return None
        local = self._annotations.variables(template.module, node)
        parameters: dict[str, tuple[Type, str, int]] = {}
        for parameter in template.parameters:
            type_ = self._annotations.type_of(template.module, parameter.annotation, local)
            if isinstance(parameter.default, ast.Constant) and parameter.default.value is None:
                type_ = union([type_, NONE])
            if type_ is not ANY and parameter.annotation is not None:
                parameters[parameter.name] = type_, ast.unparse(parameter.annotation), parameter.annotation.lineno
        result = self._annotations.type_of(template.module, node.returns, local)
        written = "" if node.returns is None else ast.unparse(node.returns)
        return _Signature(parameters, result, f"`{template.name}` gives `{written}` ({template.file}:{node.lineno})")

    # -- values

    def _at(self, made: SQDraft, index: int) -> Ways:
        """The types that come to a port."""
        arc, constant = made.ends[index], made.sq.ports[index].constant
        if arc is not None:
            return self._of_arc(arc)
        return _UNKNOWN if constant is None else _constant(decode_constant(constant[0]))

    def _of_arc(self, arc: Arc) -> Ways:
        source = arc.source
        if isinstance(source, InputDraft):
            return self._of_input(source)
        assert isinstance(source, SQDraft)
        if arc.kind != "value":
            return (ValuePath(InstanceType(int), "a tag is `int`"),) if arc.kind == "tag" else _UNKNOWN
        ways = self._ways[source]
        for index in arc.path:
            ways = tuple(replace(way, type=_element(way.type, index)) for way in ways)
        if arc.path:
            place = "".join(f"[{index}]" for index in arc.path)
            ways = tuple(replace(way, said=f"{way.said}, so `{way.type}` at {place}") for way in ways)
        return ways

    def _of_input(self, source: InputDraft) -> Ways:
        if source not in self._inputs:
            self._inputs[source] = _UNKNOWN
            node, home, name = self._graph.node, self._graph.home, source.made.name
            assert node is not None and home is not None
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                if argument.arg == name and argument.annotation is not None:
                    type_ = self._annotations.type_of(home.name, argument.annotation)
                    where = f"{home.problems.file}:{argument.annotation.lineno}"
                    said = f"the input `{name}` is `{ast.unparse(argument.annotation)}` ({where})"
                    self._inputs[source] = (ValuePath(type_, said),)
                    source.made.type = input_type(type_)
        return self._inputs[source]

    def _of_value(self, value: object) -> Ways:
        if isinstance(value, Arc):
            return self._of_arc(value)
        return _constant(value.value) if isinstance(value, Constant) else _UNKNOWN

    # -- instructions

    def _computed(self, made: SQDraft) -> Ways:
        """The types that an instruction or a deadline gives."""
        sq, name = made.sq, made.sq.function
        inputs = [self._at(made, index) for index, port in enumerate(sq.ports) if not port.hidden]
        if name == "MERGE":
            return tuple(dict.fromkeys(way for ways in inputs for way in ways))
        if name == "IF":
            truths = {_truth(way.type) for way in inputs[1]}
            if truths == {not decode_constant(sq.instruction["when"])}:
                return ()  # nothing ever goes there
            return tuple(replace(way, narrowed=True) for way in inputs[0])
        if name == "CONST":
            return _constant(decode_constant(sq.instruction["const"]))
        if name in _HANDS_ON:
            for way in inputs[1] if name == "TTFinishByOtherwise" else ():
                if way.declared and not way.fits(_TICK):
                    wanted = "`TTFinishByOtherwise` takes a tick, a whole number, as `TTTimeDeadline`"
                    instead = "ticks are microseconds: write `tag + ms(40)` for 40 ms after a tag"
                    self._report(sq.file, made.place, wanted, way, instead)
            if name == "TTFinishByOtherwise" and made.plan_b is not None and sq.will_continue:
                return tuple(dict.fromkeys([*inputs[0], *self._ways[made.plan_b]]))
            if name != "RESAMPLE" or decode_constant(sq.instruction["order"]) == 0:
                return inputs[0]
            name, inputs = "DIV", [*inputs, _constant(2)]
        types = [union(way.type for way in ways) for ways in inputs]
        narrowed = any(way.narrowed for ways in inputs for way in ways)
        declared = any(way.declared for ways in inputs for way in ways)
        type_ = _display(name, types)
        if type_ is None:
            type_ = _RESULTS.get(name)
        if type_ is None:
            type_ = self._tried(made, name, types, declared and not narrowed)
        if type_ is ANY:
            return _UNKNOWN
        said = f"`{_written(made)}` is `{type_}` ({self._files[sq.file].file}:{sq.line})"
        return (ValuePath(type_, said, narrowed, declared),)

    def _tried(self, made: SQDraft, name: str, types: list[Type], is_certain: bool) -> Type:
        """The type that an instruction gives, as it gives it for samples of its inputs' types.

        `is_certain`: the types of its inputs are, so what the samples cannot do is a mistake.
        """
        row = INSTRUCTIONS.get(name)
        if row is None or row.on_tokens or not types:
            return ANY
        keywords = [port.name for port in made.sq.ports if port.keyword]
        ways = [list(_alternatives(each)) for each in types]
        results: list[Type] = []
        combinations = list(islice(product(*ways), MOST_WAYS**2 + 1))
        if len(combinations) > MOST_WAYS**2:
            return ANY
        for combination in combinations:
            classes = [_class_of(each) for each in combination]
            if None in classes:
                results.append(ANY)
                continue
            shown = " and ".join(f"`{_widened(each)}`" for each in combination)
            samples = [_SAMPLES[cls] for cls in classes if cls is not None]
            positional = len(samples) - len(keywords)
            if name == "GETITEM" and isinstance(combination[1], KnownValue):
                samples[1] = combination[1].value
            try:
                result = row.compute(*samples[:positional], **dict(zip(keywords, samples[positional:], strict=True)))
            except TypeError as error:
                text = str(error)
                formats = name == "MOD" and classes[0] in (str, bytes)
                if is_certain and not formats and "unhashable" not in text:
                    what = f"`{_written(made)}` cannot be computed of {shown}: {text}"
                    instead = "mend the annotations, or write an SQ that does it"
                    if self._is_due_time(made):
                        instead = "in `tag, data = stream(...)` the first is the tag, of which a deadline is computed"
                    self._files[made.sq.file].report(made.place, what, instead)
                    return ANY
                results.append(ANY)
            except Exception:  # of this sample only
                results.append(_result(row, combination, keywords))
            else:
                results.append(_result(row, combination, keywords, result))
        return union(results)

    def _is_due_time(self, made: SQDraft) -> bool:
        """True if a deadline waits for what is computed of a stream's data: the tag was meant."""
        ends = [each.ends[1] for each in self._draft.sqs if each.sq.trigger == "deadline" and len(each.ends) > 1]
        of_a_stream = any(end is not None and end.kind == "value" and end.source in self._streams for end in made.ends)
        return of_a_stream and any(end is not None and end.source is made for end in ends)

    def _check_unpacking(self, made: SQDraft) -> None:
        for way in self._ways[made]:
            problem = None if way.narrowed else _unpacking(way.type, made.sq.unpack)
            if problem is not None:
                instead = "unpack as many as there are, or mend the annotation"
                place = made.places.get("", made.place)
                self._files[made.sq.file].report(place, f"{problem}, but {way.said}", instead)


def _constant(value: Any) -> Ways:
    value = folding.settled(value)
    if isinstance(value, Fraction):  # a period, which fits wherever a duration does
        return _UNKNOWN
    what = f"{folding.shown(value)} is of type `{type(value).__name__}`"
    return (ValuePath(KnownValue(value), what, declared=False),)


def _written(made: SQDraft) -> str:
    text = ast.unparse(made.place) if isinstance(made.place, ast.expr) else made.sq.function
    return text if len(text) <= 60 else made.sq.function


def _class_of(type_: Type) -> type | None:
    """The class of samples of a type; None if there are none."""
    cls = tuple if isinstance(type_, TupleOf) else getattr(_widened(type_), "cls", None)
    return cls if isinstance(cls, type) and cls in _SAMPLES else None


def _alternatives(type_: Type) -> Iterable[Type]:
    return type_.members if isinstance(type_, UnionOf) else (type_,)


def _widened(type_: Type) -> Type:
    return type_.widened if isinstance(type_, KnownValue) else type_


def _truth(type_: Type) -> bool | None:
    """The truth of a type's values; None if some may be true, and some not."""
    if type_ == NONE:
        return False
    if isinstance(type_, KnownValue):
        return bool(type_.value)
    if isinstance(type_, UnionOf):
        truths = {_truth(member) for member in type_.members}
        return truths.pop() if len(truths) == 1 else None
    has_keys = isinstance(type_, InstanceType) and isinstance(type_.cls, ProgramClass) and type_.cls.required
    return True if has_keys or _items(type_) else None


def _display(name: str, types: list[Type]) -> Type | None:
    """The type of a display; None of other instructions."""
    if name in ("TUPLE", "TUPLE_2", "TUPLE_3"):
        return TupleOf(tuple(types))
    if name in ("LIST", "SET"):
        return InstanceType(list if name == "LIST" else set, (union(types),))
    if name == "DICT":
        values = {str(each): each for each in types[1::2]}
        # A dict of values of several types may be meant as a typed dict.
        return InstanceType(dict, (union(types[::2]), next(iter(values.values())) if len(values) == 1 else ANY))
    if name in ("IN", "NOTIN") and types[1] is ANY:
        return BOOL
    return None


def _result(row: Instruction, operands: tuple[Type, ...], keywords: list[str], result: Any = None) -> Type:
    """The type of what an instruction gives, after a sample of it; None if the sample failed."""
    name = row.name
    if name in ("MIN", "MAX"):
        least = union(operands) if len(operands) > 1 else item_of(operands[0]) or ANY
        return ANY if keywords else least
    if name == "GETITEM":
        return _indexed(operands)
    if name in _COLLECTIONS:
        return InstanceType(_COLLECTIONS[name], (item_of(operands[0]) or ANY,))
    if isinstance(row.compute, type):
        return InstanceType(row.compute)
    return ANY if result is None or name in _OF_VALUES else InstanceType(type(result))


def _indexed(operands: tuple[Type, ...]) -> Type:
    """The type of `a[b]`."""
    container, index = operands[0], operands[1]
    if len(operands) != 2 or (isinstance(index, KnownValue) and isinstance(index.value, slice)):
        return _widened(container) if not isinstance(container, TupleOf) else ANY
    if isinstance(container, TupleOf) and isinstance(index, KnownValue) and type(index.value) is int:
        return container.items[index.value] if -len(container.items) <= index.value < len(container.items) else ANY
    if isinstance(container, InstanceType) and container.cls is dict:
        return container.args[1] if len(container.args) == 2 else ANY
    return item_of(container) or ANY


def _element(type_: Type, index: int) -> Type:
    """The type of one of the values that `type_` is unpacked to."""
    if isinstance(type_, UnionOf):
        return union(_element(member, index) for member in type_.members)
    items = _items(type_)
    if items is None:
        return item_of(type_) or ANY
    return items[index] if index < len(items) else ANY


def _items(type_: Type) -> tuple[Type, ...] | None:
    if isinstance(type_, TupleOf):
        return type_.items
    if isinstance(type_, KnownValue) and isinstance(type_.value, tuple):
        return tuple(map(KnownValue, type_.value))
    if isinstance(type_, InstanceType) and isinstance(type_.cls, ProgramClass) and type_.cls.kind == "named tuple":
        return tuple(type_.cls.fields.values())
    return None


def _unpacking(type_: Type, shape: Any) -> str | None:
    """The mistake in unpacking a value of that type to a shape; None if there surely is none."""
    for each in _alternatives(type_):
        items = _items(each)
        if items is not None and len(items) != len(shape):
            return f"{len(shape)} values are unpacked here"
        if items is None and item_of(each) is None:
            return f"{len(shape)} values are unpacked here"
        for index, inner in enumerate(shape):
            if inner is not None and (problem := _unpacking(_element(each, index), inner)) is not None:
                return problem
    return None
