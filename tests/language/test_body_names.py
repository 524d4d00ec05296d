"""A name that a body looks up in vain is warned of when the program is compiled; one that may be there is not."""

from __future__ import annotations

import pytest

from ticktalk.engine import bodies
from ticktalk.errors import TTWarning
from ticktalk.language.body_names import IN_BODIES
from ticktalk.language.compiler import compile_source

GRAPH = "@GRAPHify\ndef main(a):\n  return f(a)\n"


def warned(text: str, recwarn: pytest.WarningsRecorder) -> list[str]:
    recwarn.clear()
    compile_source(f"from ticktalk import SQify, STREAMify, GRAPHify\n{text}\n{GRAPH}", "p.py", "p")
    return [str(each.message) for each in recwarn if each.category is TTWarning]


MISSING = {
    # functions, line and column of the name, the message without its lines
    "misspelled parameter": ("@SQify\ndef f(value):\n  return valu", 4, 10, "`valu`", "did you mean `value`?"),
    "misspelled global": ("LIMIT = 3\n@SQify\ndef f(x):\n  return x + LIMT", 5, 14, "`LIMT`", "did you mean `LIMIT`?"),
    "misspelled builtin": ("@SQify\ndef f(x):\n  return qqq(x)", 4, 10, "`qqq`", "import it, or define it"),
    "never imported": ("@SQify\ndef f(x):\n  return np.zeros(x)", 4, 10, "`np`", "import it, or define it"),
    "in a function inside": ("@SQify\ndef f(x):\n  def g(): return gone\n  return g()", 4, 19, "`gone`", ""),
    "in a method": ("@SQify\ndef f(x):\n  class A:\n    def g(self): return gone", 5, 25, "`gone`", ""),
    "in a comprehension": ("@SQify\ndef f(x):\n  return [gone for y in x]", 4, 11, "`gone`", ""),
    "a stream": ("@STREAMify\ndef f(x, TTPeriod=100000):\n  return gone", 4, 10, "`gone`", ""),
    "twice, told once": ("@SQify\ndef f(x):\n  gone()\n  return gone()", 4, 3, "`gone`", ""),
    "beside a local of that name": ("@SQify\ndef f(x):\n  [y for y in x]\n  return y", 5, 10, "`y`", ""),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_name_that_is_nowhere_is_warned_of(name: str, recwarn: pytest.WarningsRecorder) -> None:
    text, line, column, what, instead = MISSING[name]
    (told,) = warned(text, recwarn)
    assert told.startswith(f"p.py:{line}:{column}: warning: {what} is not defined, so a firing of `f` that comes here")
    assert instead in told


BODY = "@SQify\ndef f(x): return "
CALLED = {
    # functions, line and column of the name, what calls it
    "a helper": (f"def helper(x): return gone\n{BODY}helper(x)", 2, 23, "helper"),
    "a helper below": (f"{BODY}helper(x)\ndef helper(x): return gone", 4, 23, "helper"),
    "a helper's helper": (f"def a(x): return b(x)\ndef b(x): return gone\n{BODY}a(x)", 3, 18, "b"),
    "two that call each other": (f"def a(x): return b(x)\ndef b(x): return a(gone)\n{BODY}a(x)", 3, 20, "b"),
    "handed on": (f"def helper(x): return gone\n{BODY}list(map(helper, x))", 2, 23, "helper"),
    "a method": (f"class A:\n  n = 1\n  def run(self, x): return gone\n{BODY}A().run(x)", 4, 28, "A.run"),
    "a data class": (f"from dataclasses import dataclass as d\n@d\nclass A:\n def g(_): gone\n{BODY}A()", 5, 12, "A.g"),
    "of a base": (f"class A:\n  def g(self): return gone\nclass B(A): pass\n{BODY}B()", 3, 23, "A.g"),
    "of two bodies": (f"def e(x): return gone\n@SQify\ndef g(x): return e(x)\n{BODY}e(g(x))", 2, 18, "e"),
    "a name of another": (f"def helper(x):\n  y = x\ndef g(x): return y\n{BODY}g(helper(x))", 4, 18, "g"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLED)
def test_functions_that_a_body_calls_are_looked_at(name: str, recwarn: pytest.WarningsRecorder) -> None:
    text, line, column, called = CALLED[name]
    (told,) = warned(text, recwarn)
    assert told.startswith(f"p.py:{line}:{column}: warning: `")
    assert f"` is not defined, so a call of `{called}` that comes here fails" in told


MAY_BE_THERE = {
    "not called by a body": f"def helper(x): return gone\n{BODY}x",
    "defined twice": f"def helper(x): return gone\ndef helper(x): return x\n{BODY}helper(x)",
    "replaced": f"import sys\ndef helper(x): return gone\nif sys.version: helper = abs\n{BODY}helper(x)",
    "decorated": f"def made(g): return abs\n@made\ndef helper(x): return gone\n{BODY}helper(x)",
    "a local of a helper's name": f"def helper(x): return gone\n{BODY}[helper for helper in x]",
    "a helper of known names": f"N = 1\ndef g(x): return N, TTEmpty(), firing(), __name__, len(x)\n{BODY}g(x)",
    "a helper that makes it": f"def helper(x):\n  global N\n  N = x\n  return N\n{BODY}helper(x)",
    "tried by the body": "def g(x): return gone\n@SQify\ndef f(x):\n  try: return g(x)\n  except NameError: pass",
    "made of an enumeration": f"import enum\n@enum.global_enum\nclass E(enum.Enum):\n  N = 1\n"
    f"def helper(x): return N\n{BODY}helper(x)",
    "tried by the helper": f"def helper(x):\n  try: return gone\n  except NameError: return x\n{BODY}helper(x)",
    "names of a class in it": f"class A:\n  n = 1\n  m = n\n  def g(self): return __class__, super()\n{BODY}A()",
    "types only": f"def helper(x: 'Nowhere') -> 'Nowhere':\n  y: Nowhere = x\n  return y\n{BODY}helper(x)",
    "known without import": "@SQify\ndef f(x):\n  global sq_state\n  return TTEmpty(), sq_state, firing(), component",
    "builtins and the module's own": "@SQify\ndef f(x): return len(x), __name__, __file__, __debug__, exit",
    "defined below": "@SQify\ndef f(x): return g(x)\ndef g(x): return LATER\nLATER = 1",
    "defined under a condition": "import sys\nif sys.platform == 'win32':\n  N = 1\n@SQify\ndef f(x): return N",
    "defined by an import in a try": "try:\n  import fast\nexcept ImportError: pass\n@SQify\ndef f(x): return fast",
    "made by a global statement": "@SQify\ndef f(x):\n  global N\n  N = 1\n  return N",
    "made by another function": "def make():\n  global N\n  N = 1\n@SQify\ndef f(x):\n  make()\n  return N",
    "deleted": "N = 1\ndel N\n@SQify\ndef f(x): return N",
    "of TickTalk's star import": "from ticktalk import *\n@SQify\ndef f(x): return metric(x), TTGraph",
    "of a star import": "from os.path import *\n@SQify\ndef f(x): return join(x)",
    "made by a text": "exec('N = 1')\n@SQify\ndef f(x): return N",
    "made in globals()": "globals()['N'] = 1\n@SQify\ndef f(x): return N",
    "made in the module": "import sys\nsys.modules[__name__].N = 1\n@SQify\ndef f(x): return N",
    "made a builtin": "import builtins\nbuiltins.N = 1\n@SQify\ndef f(x): return N",
    "tried": "@SQify\ndef f(x):\n  try: return unicode(x)\n  except NameError: return str(x)",
    "tried with a bare except": "@SQify\ndef f(x):\n  try: return unicode(x)\n  except: return str(x)",
    "local": "@SQify\ndef f(x):\n  import json as js\n  with x as y, y as z: pass\n  return js, z, [w for w in z]",
    "in an annotation of a local": "@SQify\ndef f(x):\n  y: Nowhere = x\n  return y",
    "of a function around": "@SQify\ndef f(x):\n  def g(): return x, y\n  y = 1\n  return g()",
    "of a class": "@SQify\ndef f(x):\n  class A:\n    n = 1\n    m = n\n    def g(self): return __class__\n  A()",
}  # fmt: skip


@pytest.mark.parametrize("name", MAY_BE_THERE)
def test_a_name_that_may_be_there_is_not_warned_of(name: str, recwarn: pytest.WarningsRecorder) -> None:
    assert warned(MAY_BE_THERE[name], recwarn) == []


def test_the_names_that_bodies_have_without_an_import_are_known() -> None:
    assert bodies._KNOWN.keys() | {"sq_state"} == IN_BODIES
