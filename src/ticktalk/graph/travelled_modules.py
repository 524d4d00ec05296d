"""Modules that came with a graph: imported from memory, under their own names, apart from those of other graphs.

A module that travelled finds others by its own `__import__`, and keeps them beside `sys.modules`. Two graphs in one
process may have different modules of one name. So `sys.modules` holds a `_Shared` under that name: to each caller it is
the module of the caller's graph, and the one outside of all graphs to everybody else. Thereby `importlib`, `pickle` and
`dataclasses` find what the graph's own `import` finds. A graph's code is known by the `__loader__` of its modules.

Each module of a graph has a lock of the kind that Python's own imports take. So a thread that waits here for one that
waits for Python, or the other way round, is noticed: as in Python, it is given the module half made.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import linecache
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from importlib import _bootstrap  # its locks: no public ones tell who waits for whom
from pathlib import Path
from typing import Any
from weakref import WeakSet

from ticktalk.module_search import find_module
from ticktalk.values.classes import know_module

_LOCK = threading.RLock()
_holders: dict[str, WeakSet[TravelledModules]] = {}
"""By a module's name, the graphs that have imported their own; one `_Shared` stands for them in `sys.modules`."""

_outside: dict[str, types.ModuleType] = {}
"""By such a name, the module that was imported by what belongs to no graph."""

_INSTALLED = tuple({sysconfig.get_path(which) for which in ("stdlib", "platstdlib", "purelib", "platlib")})
_OURS = frozenset({"ticktalk", "ticktalkpython"})
_FOLDER = "modules of a graph: "
"""Begins the `__path__` of a package, by which `pkgutil` lists what is in it."""


class TravelledModules(importlib.abc.Loader):
    """The modules of one graph in this process.

    Args:
        sources: of the modules, by dotted name; a package is `name.__init__`.
        names: further builtins of these modules.
        compiled: takes a module, its code and its text, and gives the code that is run.
    """

    def __init__(
        self,
        sources: dict[str, str],
        names: dict[str, Any],
        compiled: Callable[[types.ModuleType, types.CodeType, str], types.CodeType] = lambda module, code, text: code,
    ) -> None:
        self._sources = sources
        self._compiled = compiled
        self._folders = {outer for name in sources for outer in _outer(name)}
        self._modules: dict[str, types.ModuleType] = {}
        self._loading: set[str] = set()
        self.builtins = {**vars(builtins), **names, "__import__": self._import} if sources else vars(builtins)
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
            sys.path_hooks.append(_Folder)
            importlib.import_module = _import_module

    def has(self, name: str) -> bool:
        """True if a module of this name travels, or a folder in which some do."""
        return name in self._sources or name in self._folders

    def holds(self, name: str) -> bool:
        """True if a module of this name travels, or was added."""
        return name in self._modules or self.has(name)

    def add(self, module: types.ModuleType, is_program: bool = False) -> None:
        """Let a module be known to the graph's code by its name: one that travelled, or the program itself."""
        name = module.__name__
        know_module(module, is_program)
        module.__dict__.update(__loader__=self, __builtins__=self.builtins)
        self._modules[name] = module
        if not _stays(name):
            with _LOCK:
                _holders.setdefault(name, WeakSet()).add(self)
                there = sys.modules.get(name)
                if type(there) is not _Shared:
                    _outside.pop(name, None)  # a module that was taken out of `sys.modules` is to be imported anew
                    if there is not None:
                        _outside[name] = there
                    sys.modules[name] = _Shared(name)

    def forget(self) -> None:
        """Give up all modules."""
        for name in self._modules:
            self._give_up(name)

    def _give_up(self, name: str) -> None:
        with _LOCK:
            holders = _holders.get(name, WeakSet())
            holders.discard(self)
            if not holders and type(sys.modules.get(name)) is _Shared:
                _holders.pop(name, None)
                outside = _outside.pop(name, None)
                del sys.modules[name]
                if outside is not None:
                    sys.modules[name] = outside

    def load(self, name: str) -> types.ModuleType:
        """The module of this name, imported if it was not.

        Raises:
            ModuleNotFoundError: none of this name came with the graph.
            Exception: whatever the module raises when it is imported.
        """
        if name in self._modules and name not in self._loading:
            return self._modules[name]
        package, _, last = name.rpartition(".")
        holder = self.load(package) if package else None
        try:
            with _bootstrap._ModuleLockManager(f"{name} of graph {id(self)}"):  # type: ignore[attr-defined]
                if name not in self._modules:  # its package, or another thread, may have imported it
                    if not self.has(name):
                        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
                    self._loading.add(name)
                    try:
                        self._load(name)
                    finally:
                        self._loading.discard(name)
                    if holder is not None:
                        setattr(holder, last, self._modules[name])
                return self._modules[name]
        except _bootstrap._DeadlockError:  # type: ignore[attr-defined]  # the thread that imports it waits for this one
            return self._modules[name]

    def _load(self, name: str) -> None:
        is_package = name in self._folders
        inner = f"{name}.__init__" if is_package else name
        file = inner.replace(".", "/") + ".py"
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, self, origin=file, is_package=is_package)
        module.__package__ = name if is_package else name.rpartition(".")[0]
        if inner in self._sources:
            module.__file__ = file
        if is_package:
            module.__path__ = [_FOLDER + name]
        self.add(module)
        try:
            source = self._sources.get(inner, "")
            linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
            code: types.CodeType = compile(source, file, "exec", dont_inherit=True)
            exec(self._compiled(module, code, source), module.__dict__)
        except BaseException:
            del self._modules[name]
            self._give_up(name)
            raise
        put = sys.modules.get(name)
        if put is not None and type(put) is not _Shared and not _stays(name):  # what it has put in its place
            self._modules[name], sys.modules[name] = put, _Shared(name)

    def _import(
        self,
        name: str,
        globals: dict[str, Any] | None = None,
        locals: dict[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """The graph's `__import__`."""
        if level:
            package = str((globals or {}).get("__package__") or "")
            parts = package.split(".") if package else []
            if level > len(parts) + 1:
                raise ImportError("attempted relative import beyond top-level package")
            name = ".".join([*parts[: len(parts) + 1 - level], *([name] if name else [])])
        top = name.partition(".")[0]
        if name and not self.has(top):
            found = builtins.__import__(name, globals, locals, fromlist or ())
            _own(found)  # another graph's is none
            return found
        if not name:  # of modules beside the program: `from . import helper`
            return types.SimpleNamespace(**{each: self.load(each) for each in fromlist or ()})
        module = self.load(name)
        wanted = fromlist or ()
        for each in getattr(module, "__all__", ()) if "*" in wanted else wanted:
            if not hasattr(module, each) and self.has(f"{name}.{each}"):
                self.load(f"{name}.{each}")
        return module if fromlist or level else self.load(top)

    def inside(self, package: str) -> Iterator[tuple[str, bool]]:
        """The modules directly in a package, and whether they are packages."""
        for name in sorted({*self._sources, *self._folders}):
            outer, _, last = name.rpartition(".")
            if outer == package and last != "__init__":
                yield last, name in self._folders

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """The module, whole already, for the import system of Python."""
        return sys.modules.get(spec.name) or self._modules[spec.name]

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing is left to do."""

    def get_source(self, name: str) -> str:
        """The source of a module, for tracebacks and `inspect`."""
        source = self._sources.get(f"{name}.__init__", self._sources.get(name))
        if source is None:
            raise ImportError(f"no source of {name} came with the graph")
        return source


class _Shared(types.ModuleType):
    """The modules of one name, of several graphs and outside of them: to each caller its own."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__deepcopy__":  # nobody's module is copied
            return lambda memo: self
        meant = _meant(self, name)
        names = _names_of_instance(meant)
        return names[name] if name in names and not name.startswith("__") else getattr(meant, name)

    def __setattr__(self, name: str, value: Any) -> None:
        meant = _meant(self, name)
        if names := _names_of_instance(meant):
            names[name] = value
        else:
            setattr(meant, name, value)

    def __delattr__(self, name: str) -> None:
        meant = _meant(self, name)
        if (names := _names_of_instance(meant)) and name in names:
            del names[name]
        else:
            delattr(meant, name)


class _Nothing(types.SimpleNamespace):
    """A module without content: callers find it by a name that only modules of other graphs have."""


def _names_of_instance(module: Any) -> dict[str, Any]:
    """An instance's names in place of a module's, if its function is in the stack; else nothing."""
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None:
        names = frame.f_globals
        loader = names.get("__loader__")
        ours = type(loader) is TravelledModules and loader is vars(module).get("__loader__")
        if ours and names is not vars(module) and names.get("__name__") == module.__name__:
            return names
        frame = frame.f_back
    return {}


def _meant(shared: types.ModuleType, attribute: str) -> Any:
    """The module that a caller means by `shared`, of which it asks for an attribute."""
    name = str(object.__getattribute__(shared, "__dict__")["__name__"])
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None:
        loader = frame.f_globals.get("__loader__")
        if type(loader) is TravelledModules and loader.holds(name):
            return loader.load(name)
        frame = frame.f_back
    if name not in _outside:
        # To look through `sys.modules` is no reason to run a file that could be imported.
        importing = sys._getframe(2).f_globals.get("__name__") == "importlib._bootstrap"
        wanted = not attribute.startswith("__") or attribute == "__all__" or (attribute == "__path__" and importing)
        found = find_module(name)
        if found is None or not wanted:
            return _Nothing(__name__=name, __spec__=found)
        _import_outside(name, shared)
    return _outside[name]


def _import_outside(name: str, shared: types.ModuleType) -> None:
    sys.modules.pop(name, None)
    try:
        _outside[name] = importlib.import_module(name)
    finally:
        if _holders.get(name):
            sys.modules[name] = shared


class _Finder(importlib.abc.MetaPathFinder):
    """Lets `importlib.import_module` and the like find the modules of the graph whose code calls it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        loader = _caller()
        if loader is None or not loader.has(fullname):
            return None
        loader.load(fullname)
        return importlib.machinery.ModuleSpec(fullname, loader, is_package=False)


class _Folder:
    """A package of the graph whose code lists it, for `pkgutil.iter_modules`."""

    def __init__(self, path: str) -> None:
        if not str(path).startswith(_FOLDER):
            raise ImportError(f"{path} is no package that travelled")
        self._package = str(path).removeprefix(_FOLDER)

    def find_spec(self, fullname: str, target: types.ModuleType | None = None) -> None:
        return None  # `_Finder` has found it before

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        loader = _caller()
        return iter([(prefix + name, folder) for name, folder in loader.inside(self._package)] if loader else [])


_FINDER = _Finder()
_FIND_MODULE = importlib.import_module


def _import_module(name: str, package: str | None = None) -> types.ModuleType:
    """`importlib.import_module`: gives a caller its own module, not what stands for it in `sys.modules`."""
    return _own(_FIND_MODULE(name, package))


def _own(found: types.ModuleType) -> types.ModuleType:
    """The module that a caller means by what `sys.modules` has.

    Raises:
        ModuleNotFoundError: only other graphs have one of its name.
    """
    if type(found) is not _Shared:
        return found
    meant: types.ModuleType | _Nothing = _meant(found, "")
    if isinstance(meant, _Nothing):
        raise ModuleNotFoundError(f"No module named {meant.__name__!r}", name=meant.__name__)
    return meant


def _caller() -> TravelledModules | None:
    """The modules of the graph whose code has called Python's library, which has called this."""
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None:
        loader = frame.f_globals.get("__loader__")
        if type(loader) is TravelledModules:
            return loader
        own = frame.f_globals is globals()
        if not own and str(frame.f_globals.get("__name__")).partition(".")[0] not in sys.stdlib_module_names:
            return None
        frame = frame.f_back
    return None


def _stays(name: str) -> bool:
    """True if what `sys.modules` has under a name stays there as it is: all that is installed or is Python's own."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in _OURS or name == "__main__":
        return True
    there = sys.modules.get(name)
    if there is None or type(there) is _Shared:
        return False
    file = getattr(there, "__file__", None)
    return file is not None and any(Path(file).is_relative_to(folder) for folder in _INSTALLED)


def _outer(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name
