"""A constant of a graph has the value that Python gives it, or is refused: code that runs at import may change it.

Each program is run by Python, too. What a graph knows must be what Python says.
"""

import importlib
import sys
import types
from pathlib import Path

import pytest

from ticktalk.errors import TTSyntaxError
from ticktalk.graph.constants import decode_constant
from ticktalk.language.compiler import compile_program, compile_source

HEAD = "from ticktalk import *\n"
Modules = dict[str, str]

CHANGED: list[tuple[str, str, Modules]] = [
    ("A=[1]\nB=A\nB.append(2)", "A", {}),
    ("A=[1]\nB=A\nB+=[2]", "A", {}),
    ("A=[1]\nB=[A]\nB[0].append(2)", "A", {}),
    ("A={'r':[1]}\nB=A['r']\nB.append(2)", "A", {}),
    ("T=([1],)\nT[0].append(2)", "T", {}),
    ("A=[1]\nA[:]=[5]", "A", {}),
    ("A=[1]\ndef f():\n  A.append(2)\nf()", "A", {}),
    ("N=1\ndef f():\n  global N\n  N=2\nf()", "N", {}),
    ("N=1\ndef f():\n  global N\n  N=2\nX=f()", "N", {}),
    ("A=[1]\ndef f(x):\n  x.append(2)\n  return x\nX=f(A)", "A", {}),
    ("N=1\nclass C:\n  global N\n  N=2", "N", {}),
    ("N=1\nglobals()['N']=2", "N", {}),
    ("N=1\nglobals().update(N=2)", "N", {}),
    ("N=1\nexec('N=2')", "N", {}),
    ("import sys\nN=1\nsetattr(sys.modules[__name__],'N',2)", "N", {}),
    ("class C: N=1\nsetattr(C,'N',2)", "C.N", {}),
    ("class C: N=1\ndef f(k): k.N=2\nf(C)", "C.N", {}),
    ("class C:\n  N=1\n  @classmethod\n  def f(cls): cls.N=2\nC.f()", "C.N", {}),
    ("class C:\n  N=1\n  def f(self): type(self).N=2\nC().f()", "C.N", {}),
    ("class C:\n  N=1\n  def f(self): C.N=2\nc=C()\nc.f()", "C.N", {}),
    ("class C:\n  N=1\n  del N\n  N=3", "C.N", {}),
    ("A=[1]\nfor x in [A]: x.append(3)", "A", {}),
    ("A=[1]\n[x.append(3) for x in [A]]", "A", {}),
    ("A=[1]\nX=[A.append(i) for i in range(3)]", "A", {}),
    ("A=[1]\nif (b:=A): b.append(2)", "A", {}),
    ("A=[1]\nmatch [A]:\n  case [x]: x.append(2)", "A", {}),
    ("A=[1]\nX=A.pop()", "A", {}),
    ("A=[1]\nassert A.append(2) is None", "A", {}),
    ("A=[1]\nB=list.append(A,2)", "A", {}),
    ("import random\nA=[1,2,3,4]\nX=random.Random(3).shuffle(A)", "A", {}),
    ("import operator\nA=[1]\nX=operator.iadd(A,[2])", "A", {}),
    ("A=[3,1]\nX=A.sort()", "A", {}),
    ("A=[1]\nB=A\nB.append(2)\nclass C: T=A", "C.T", {}),
    ("A=[1]\nclass C: T=A\nC.T.append(2)", "A", {}),
    ("A=[1]\nclass C: T=A\nA.append(2)", "C.T", {}),
    ("A=[1]\ndef dec(f):\n  A.append(2)\n  return f\n@dec\ndef g(): pass", "A", {}),
    ("N=1\ndel N\nif 0: pass", "N", {}),
    ("A=[1]\ng=lambda: A.append(2)\ng()", "A", {}),
    ("N=1\nx=(lambda: globals().__setitem__('N',2))()", "N", {}),
    ("from settings import T\nT['x']=2", "T", {"settings": "T={'x':1}\n"}),
    ("from settings import T\nT['x']=2\nimport settings", "settings.T['x']", {"settings": "T={'x':1}\n"}),
    ("import settings\nsettings.T=5", "settings.T", {"settings": "T=1\n"}),
    ("import settings\nsettings.load()", "settings.T", {"settings": "T=1\ndef load():\n  global T\n  T=5\n"}),
    (
        "import settings\nimport change",
        "settings.T",
        {"settings": "T=1\n", "change": "import settings\nsettings.T=5\n"},
    ),
    (
        "from settings import T\nimport change",
        "T",
        {"settings": "T=[1]\n", "change": "from settings import T\nT.append(2)\n"},
    ),
    ("import settings\nsetattr(settings,'T',5)", "settings.T", {"settings": "T=1\n"}),
    ("import settings as s\nx=s\nx.T=5", "s.T", {"settings": "T=1\n"}),
    ("N=3\nfrom settings import *", "N", {"settings": "N=5\n"}),
    ("from a import N\nfrom b import *", "N", {"a": "N=5\n", "b": "N=6\n"}),
    ("if 1:\n  from a import N\nelse:\n  from b import N", "N", {"a": "N=5\n", "b": "N=6\n"}),
    ("from a import *\nfrom b import *", "N", {"a": "N=5\n", "b": "N=6\n_x=1\n"}),
    ("class C: N=1\nfor k in [C]: k.N=2", "C.N", {}),
    ("class C: N=1\nD=[C]\nD[0].N=2", "C.N", {}),
    ("class C:\n  N=1\n  M=N\n  N+=1", "[C.N,C.M]", {}),
    ("class C:\n  T=[1]\n  S=T\n  S.append(2)", "C.T", {}),
    ("class C:\n  T=[1]\n  def f(): C\n  for x in T: pass", "C.T", {}),
    ("A=[[0]*2]*2\nA[0][0]=1", "A", {}),
    ("A=[0]\nB=A*1\nC=[A]*2\nC[0].append(1)", "A", {}),
    ("A=[1]\nB=C=A\nC.append(2)", "B", {}),
    ("B=C=[1]\nC.append(2)", "B", {}),
    ("(A,B)=([1],[2])\nC=A\nC.clear()", "A", {}),
    ("A=[1]\nD=dict(k=A)\nD['k'].append(2)", "A", {}),
    ("A=[1]\nD={}\nD['k']=A\nD['k'].append(2)", "A", {}),
    ("A=[1]\nx,*y=[A,A]\ny[0].append(2)", "A", {}),
    ("class O: pass\nA=[1]\no=O()\no.a=A\no.a.append(2)", "A", {}),
    ("A=[1]\nclass O:\n  def __init__(self,a): a.append(2)\no=O(A)", "A", {}),
    ("A=[1]\nclass O:\n  def __init__(self,a): self.a=a\n  def f(self): self.a.append(2)\no=O(A)\no.f()", "A", {}),
    ("A=[1]\nR=[]\ndef reg(f): R.append(f)\ndef g(): A.append(2)\nreg(g)\nfor f in R: f()", "A", {}),
    ("A=[1]\nlist(map(A.append,[2]))", "A", {}),
    ("A=[1]\nX=list(map(A.append,[2]))", "A", {}),
    ("A=[1]\nf=A.append\nf(2)", "A", {}),
    ("import functools\nA=[1]\nf=functools.partial(A.append,2)\nf()", "A", {}),
    (
        "from contextlib import contextmanager\nN=1\n@contextmanager\ndef m():\n"
        "  global N\n  N=2\n  yield\nwith m(): pass",
        "N",
        {},
    ),
    ("N=1\nwhile N<3: N+=1", "N", {}),
    (
        "import threading\nN=1\ndef f():\n  global N\n  N=2\nt=threading.Thread(target=f)\nt.start()\nt.join()",
        "N",
        {},
    ),
    (
        "class M(type):\n  def __new__(m,n,b,d):\n    global N\n    N=2\n"
        "    return super().__new__(m,n,b,d)\nN=1\nclass C(metaclass=M): pass",
        "N",
        {},
    ),
    ("N=1\nclass B:\n  def __init_subclass__(cls):\n    global N\n    N=2\nclass C(B): pass", "N", {}),
    ("class C:\n  N=1\nC.__dict__\ntype.__setattr__(C,'N',2)", "C.N", {}),
    ("N=1\ndef f():\n  def g():\n    global N\n    N=2\n  return g\nf()()", "N", {}),
    ("try:\n  N=1\n  int('x')\nexcept ValueError: N=2", "N", {}),
    ("A=[1]\ndef f(a=A): a.append(2)\nf()", "A", {}),
    ("A=[1]\ndef f(*a): a[0].append(2)\nf(A)", "A", {}),
    ("A=[1]\nB=[A,A]\nfor i,b in enumerate(B): b.append(i)", "A", {}),
    ("A={'k':[1]}\nfor k,v in A.items(): v.append(2)", "A", {}),
    ("A={'k':[1]}\nA.get('k').append(2)", "A", {}),
    ("A={'k':[1]}\nB=A.copy()\nB['k'].append(2)", "A", {}),
    ("A={'k':[1]}\nB={**A}\nB['k'].append(2)", "A", {}),
    ("A=[[1]]\nB=A[:]\nB[0].append(2)", "A", {}),
    ("A=[[1]]\nB=[x for x in A]\nB[0].append(2)", "A", {}),
    ("A=[[1]]\nB,=A\nB.append(2)", "A", {}),
    ("A=[1]\nB=A or []\nB.append(2)", "A", {}),
    ("A=[1]\nB=A if A else []\nB.append(2)", "A", {}),
    ("A={1}\nB=A\nB|={2}", "A", {}),
    ("A={1:[1]}\nA[1]+=[2]", "A", {}),
    ("A=[1]\nasync def f(): A.append(2)\nimport asyncio\nasyncio.run(f())", "A", {}),
    (
        "from pkg import N, change\nchange()",
        "N",
        {"pkg/__init__": "from pkg.a import N, change\n", "pkg/a": "N=[1]\ndef change():\n  N.append(2)\n"},
    ),
    ("import pkg.a\npkg.a.N=2", "pkg.a.N", {"pkg/__init__": "", "pkg/a": "N=1\n"}),
    ("from pkg import a\na.N=2\nimport pkg.a as q", "q.N", {"pkg/__init__": "", "pkg/a": "N=1\n"}),
    ("import settings\nT=settings.T\nT.append(2)", "settings.T", {"settings": "T=[1]\n"}),
    ("import settings\nclass C: T=settings.T\nC.T.append(2)", "settings.T", {"settings": "T=[1]\n"}),
    (
        "import importlib\nimport settings\nm=importlib.import_module('settings')\nm.T=2",
        "settings.T",
        {"settings": "T=1\n"},
    ),
    ("import settings\nvars(settings)['T']=2", "settings.T", {"settings": "T=1\n"}),
    ("import settings\nsettings.C.N=2", "settings.C.N", {"settings": "class C: N=1\n"}),
    ("from settings import C\nC.N=2", "C.N", {"settings": "class C: N=1\n"}),
    ("from settings import C\nclass D(C): pass\nC.N=2", "D.N", {"settings": "class C: N=1\n"}),
    ("from settings import *\nT.append(2)", "T", {"settings": "T=[1]\n"}),
    ("import a\nfrom b import x", "a.T", {"a": "T=[1]\n", "b": "import c\nx=1\n", "c": "import a\na.T.append(2)\n"}),
    ("N=1\ndef setup():\n  import sys\n  m=sys.modules[__name__]\n  m.N=2\nsetup()", "N", {}),
    ("N=1\nfor N in range(3): pass", "N", {}),
    ("import contextlib\nwith contextlib.nullcontext(7) as N: pass", "N", {}),
    ("N=1\nnums=[N:=5 for _ in range(1)]", "N", {}),
    ("N=1\nX=(N:=5)", "N", {}),
    ("N=1\nX=[(N:=i) for i in range(3)]", "N", {}),
    ("N=1\nprint(N:=7)", "N", {}),
    ("N=1\nassert (N:=7)", "N", {}),
    ("N=1\ndef f(x=(N:=7)): pass", "N", {}),
    ("N=1\nclass C(print(N:=7) or object): pass", "N", {}),
    ("D={}\nD[(N:=7)]=1\nN=N", "N", {}),
    ("N=1\nD={}\nD[(N:=7)]=1", "N", {}),
    ("A=[1,2]\nA[0],B=5,6", "A", {}),
    ("A=[1,2]\nfor A[0] in range(3): pass", "A", {}),
    ("N=1\nimport math as N", "N.pi if 1 else N", {}),
    ("N=1\nN: int", "N", {}),
]
"""Programs, an expression whose value is another one than the first assignment says, and modules beside the program."""

UNCHANGED: list[tuple[str, str, Modules]] = [
    ("A=[1]\nprint(A)\nassert len(A)==1\nfor a in A: print(a)", "A", {}),
    ("A=[1,2]\nB=sorted(A)\nB.append(3)\nB[0]=9", "A", {}),
    ("A=[1,2]\nB=list(A)\nB.append(3)", "A", {}),
    ("A=[1,2]\nB=A[:]\nB.append(3)", "A", {}),
    ("A={'x':1}\nB={**A,'y':2}\nB['z']=3", "A", {}),
    ("A={'x':1}\nB=A.copy()\nB['z']=3", "A", {}),
    ("A=[1,2]\nB=[a*2 for a in A]\nB.append(3)", "A", {}),
    ("A=[1,2]\nT={}\nfor a in A: T[a]=0", "A", {}),
    ("import numpy as np\nA=[1,2]\nX=np.array(A)\nX[0]=3\nY=np.asarray(A,dtype=float)", "A", {}),
    (
        "from collections import deque, Counter\nA=[1,2]\nQ=deque(A,maxlen=3)\n"
        "Q.append(5)\nC=Counter(A)\nC.update([1])",
        "A",
        {},
    ),
    ("from dataclasses import dataclass\n@dataclass\nclass P: names: list\nA=['a']\nP1=P(A)\nP1.names=[]", "A", {}),
    ("class P:\n  def __init__(self,names): self.names=names\nA=['a']\nP1=P(A)\nP1.x=3", "A", {}),
    ("import random\nA=[1,2]\nB=list(A)\nrandom.shuffle(B)\nrandom.seed(3)\nx=random.choice(A)", "A", {}),
    ("import logging\nlog=logging.getLogger('x')\nA=[1,2]\nlog.info('%s',A)\nlogging.info(A)", "A", {}),
    ("A=[1,2]\ndef check(a):\n  assert len(a)==2\n  return sum(a)\nS=check(A)\ncheck(A)", "A", {}),
    ("A=[1,2]\nSET={}\ndef add(k,v): SET[k]=v\nadd('x',1)", "A", {}),
    ("N=1\nTABLE={}\ndef reg(f):\n  TABLE[f.__name__]=f\n  return f\n@reg\ndef g(x): return x+N", "N", {}),
    (
        "import json,re\nfrom pathlib import Path\nA={'x':1}\nJ=json.dumps(A)\n"
        "R=re.compile('|'.join(A))\nK=list(A.keys())\nK.append(1)",
        "A",
        {},
    ),
    (
        "class C:\n  N=1\n  T=[1,2]\n  def f(self): return self.N\nc=C()\nc.x=4\nprint(C.N,C.T,c.f())\nsorted(C.T)",
        "[C.N,C.T]",
        {},
    ),
    ("import math\nclass Config:\n  R=3\n  def load(self): self.R=9\nX=Config.R*2\nc=Config()", "Config.R", {}),
    (
        "import settings\nT2=dict(settings.T)\nT2['x']=5\nprint(settings.N)",
        "[settings.N,settings.T]",
        {"settings": "N=1\nT={'x':1}\nL=[]\ndef log(x): L.append(x)\nlog(3)\n"},
    ),
    (
        "from settings import *\nimport other\nother.go(N)",
        "N",
        {"settings": "N=1\n", "other": "S=[]\ndef go(n): S.append(n)\n"},
    ),
    (
        "from enum import Enum\nclass M(Enum):\n  A=1\n  B=2\n"
        "D={M.A:1}\nfor m in M: print(m.value)\nX=M.A.value+1\nprint(M['A'],M(1))",
        "M.B.value",
        {},
    ),
    (
        "import threading\nA=[1]\nL=threading.Lock()\nS={}\ndef f(): S['x']=A\nt=threading.Thread(target=f)\nt.start()",
        "A",
        {},
    ),
    ("N=1\nx=globals().get('N')\ny='N' in globals()", "N", {}),
    ("N=1\n__all__=[n for n in globals() if not n.startswith('_')]", "N", {}),
    (
        "A=[1,2]\nfrom functools import reduce, lru_cache, partial\nX=reduce(lambda a,b:a+b,A)\n"
        "Y=max(A)\nf=partial(print,A)",
        "A",
        {},
    ),
    ("A=[1,2]\nX,Y=A\nX+=1", "A", {}),
    ("A=[[1,2],[3,4]]\nX=[r[:] for r in A]\nX.append(1)\nW,H=len(A),len(A[0])", "A", {}),
    ("A=[[1,2],[3,4]]\nfor r in A:\n  for c in r: print(c)\nm=max(max(r) for r in A)", "A", {}),
    ("A={'a':[1]}\nfor k,v in A.items(): print(k,v)\nif 'a' in A: x=A['a'][0]", "A", {}),
    ("NAMES=['a']\nDEFAULTS={n:0 for n in NAMES}\nDEFAULTS['b']=1\nDEFAULTS.update(c=1)", "NAMES", {}),
    ("import os,sys\nN=int('5')\nsys.path.insert(0,'x')\nos.environ['TT_X']='1'", "N", {}),
    ("import argparse\nA=['x']\np=argparse.ArgumentParser()\np.add_argument('--c',choices=A)", "A", {}),
    ("import itertools\nA=[1,2]\nP=list(itertools.permutations(A))\nP.append(1)\nZ=dict(zip(A,A))\nZ[1]=2", "A", {}),
    ("from types import SimpleNamespace\nA=[1]\ncfg=SimpleNamespace(a=A,b=2)\ncfg.b=3", "A", {}),
    ("A=[1]\nstate={'a':A,'n':0}\nstate['n']=1", "A", {}),
    ("from typing import Final\nA: Final=[1]\nB: 'list'=A", "[A,B]", {}),
    ("class Base:\n  N=1\nclass D(Base):\n  M=2\nd=D()\nd.M=3", "[D.N,D.M,Base.N]", {}),
    ("try:\n  import numpy as np\nexcept ImportError: np=None\nA=[1]\nif np is not None: X=np.array(A)", "A", {}),
    ("A=[3,1]\nA.sort()\nA=[1,2]", "A", {}),
    ("N=1\nclass C:\n  count=0\n  def __init__(self): C.count+=1\nx=C()", "N", {}),
    (
        "M=[[0]*3 for _ in range(3)]\nI=[[1 if i==j else 0 for j in range(3)] for i in range(3)]\n"
        "def mul(a,b): return [[sum(x*y for x,y in zip(r,c)) for c in zip(*b)] for r in a]\nP=mul(I,M)",
        "[M,I]",
        {},
    ),
    ("import unittest\nA=[1]\nclass T(unittest.TestCase):\n  def test(self): A.append(3)", "A", {}),
    ("from a import *\nfrom b import *", "N", {"a": "N=5\n", "b": "N=6\n_x=1\n"}),
    ("from a import *\nfrom b import *", "N", {"a": "N=5\n", "b": "N=6\nM=1\n__all__=['M']\n"}),
    ("try:\n  from a import N\nexcept ImportError:\n  from b import N", "N", {"a": "N=5\n", "b": "N=5\n"}),
    ("N=2\nfrom ticktalk import *\nfrom math import *", "N", {}),
]
"""Programs in which code at module level uses a constant, and changes nothing of it."""


def known(code: str, expression: str, modules: Modules, folder: Path) -> object:
    """The value of an expression in a graph."""
    for name, text in modules.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    program = folder / "prog.py"
    program.write_text(f"{HEAD}{code}\n@GRAPHify\ndef main(a):\n  return [{expression}]\n")
    constant = compile_program(program).sqs[0].ports[0].constant
    assert constant is not None
    return decode_constant(constant[0])[0]


def of_python(code: str, expression: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> object:
    """The value of an expression behind code that Python has run."""
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    program = types.ModuleType("prog_of_test")
    before = dict(sys.modules)
    sys.modules["prog_of_test"] = program
    try:
        exec(HEAD + code, program.__dict__)  # one of the programs above
        return eval(expression, program.__dict__)
    finally:
        for name in sys.modules.keys() - before.keys():
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")) or name == "prog_of_test":
                del sys.modules[name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("code", "expression", "modules"), CHANGED)
def test_a_constant_that_code_at_module_level_may_change_is_refused_or_right(
    code, expression, modules, tmp_path, monkeypatch
):
    try:
        found = known(code, expression, modules, tmp_path)
    except TTSyntaxError:
        return
    assert found == of_python(code, expression, monkeypatch, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("code", "expression", "modules"), UNCHANGED)
def test_a_constant_that_no_code_changes_is_known(code, expression, modules, tmp_path, monkeypatch):
    found = known(code, expression, modules, tmp_path)
    assert found == of_python(code, expression, monkeypatch, tmp_path)


MESSAGES = [
    ("A = [1]\nB = A\nB.append(2)", "A", {}, "`A` may be changed in line 4, so a graph does not know its value"),
    ("A = [1]\ndef f():\n  A.pop()\nf()", "A", {}, "`A` may be changed in line 4, so a graph"),
    ("N = 1\ndef f():\n  global N\n  N = 2\nf()", "N", {}, "`N` may be bound anew in line 5, so a graph"),
    ("import s\ns.N = 2", "s.N", {"s": "N = 1\n"}, "`N` may be bound anew in line 3, so a graph"),
    ("import s\nimport t", "s.T", {"s": "T = []\n", "t": "import s\ns.T.append(1)\n"}, "in line 2 of the module `t`"),
    ("A = [1]\nA.append(2)", "A", {}, "change a copy of it there, or use it in the body of an SQ"),
]


@pytest.mark.parametrize(("code", "expression", "modules", "message"), MESSAGES)
def test_the_message_says_which_line_may_change_a_constant(code, expression, modules, message, tmp_path):
    with pytest.raises(TTSyntaxError) as error:
        known(code, expression, modules, tmp_path)
    assert message in str(error.value)


def test_a_default_means_what_its_names_mean_at_the_def():
    text = (
        "from ticktalk import *\nN = 100\n@STREAMify\ndef s(t, TTPeriod=2 * N): return 1\n"
        "@GRAPHify\ndef main(a, b=N): return s(a)\nN = 300\n"
    )
    graph = compile_source(text, "p.py", "p")
    assert graph.inputs[1].default == [100]
    assert graph.sqs[0].period == 200
