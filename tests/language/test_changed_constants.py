"""A constant has the value that Python gives it, in graphs and in bodies, or is refused in a graph.

Code that runs at import may change it. Each program is run by Python, too. What a body sees must be what Python says,
and what a graph knows.
"""

import importlib
import re
import sys
import types
from pathlib import Path

import pytest

from ticktalk.engine.bodies import BodyError, GraphCode
from ticktalk.errors import TTError, TTSyntaxError
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
    ("class C:\n  T = {}\n  T['x'] = 1", "C.T", {}),
    ("T = []\nclass C:\n  T.append(1)", "T", {}),
    ("class C:\n  class D: N = 1\n  D.N = 2", "C.D.N", {}),
    ("class C: N = 1\nclass D(C): pass\nC.N = 2", "D.N", {}),
    ("class C: N = 1\nD = C\nD.N = 2", "C.N", {}),
    ("C = {}\nC['x'] = 1", "C['x']", {}),
    ("class C: N = []\nC.N.append(1)", "C.N", {}),
    ("from settings import T as U\nU.append(2)", "U", {"settings": "T=[1]\n"}),
    ("from settings import T as U\nU.append(2)\nimport settings", "settings.T", {"settings": "T=[1]\n"}),
    ("import settings\nT=settings.T\nT.append(2)\nS=settings.T", "S", {"settings": "T=[1]\n"}),
    ("import settings\nsettings.__dict__['T']=5", "settings.T", {"settings": "T=1\n"}),
    ("A=[1]\n@SQify\ndef f(x): A.append(x)\nf(2)", "A", {}),
    ("A=[1]\ndef cache(f):\n  f()\n  return f\n@cache\ndef g(): A.append(2)", "A", {}),
    ("A=[1]\nU=A\nV=[3]\nU=A+V\nW=V\nW.append(4)\nX=U", "[A,U,V]", {}),
    ("A=[1]\ndef f():\n  def g(): A.append(2)\n  return [g]\nf()[0]()", "A", {}),
    (
        "A=[1]\nclass C:\n  def __enter__(self): A.append(2)\n  def __exit__(self,*a): A.append(3)\nwith C(): pass",
        "A",
        {},
    ),
    ("A=[1]\nclass C:\n  def __add__(self,o): o.append(2)\nX=C()+A", "A", {}),
    ("A=[1]\nimport heapq as h\nh.heappush(A,0)", "A", {}),
    ("N=1\ndef f(): pass\nf.__globals__['N']=2", "N", {}),
    ("from enum import Enum\nclass M(Enum): A=[1]\nM.A.value.append(2)", "M.A.value", {}),
    ("from enum import Enum\nclass M(Enum): A=[1]\nfor m in M: m.value.append(2)", "M.A.value", {}),
    ("N=3\ntry:\n  from own import *\nexcept ImportError: pass", "N", {"own": "N=5\n"}),
    ("from own import A\nfrom own2 import B", "A", {"own": "A=[1]\n", "own2": "import own\nB=own.A\nB.append(2)\n"}),
    ("A=[1]\ndef f(x,a): g(a)\ndef g(a): a.append(2)\nf(1,A)", "A", {}),
    ("A=[1]\ndef f(x,a): a+=[2]\nf(1,A)", "A", {}),
    ("A=[1]\ndef f(*a): a[1].append(2)\nf(1,A)", "A", {}),
    ("A=[1]\ndef f(x,a): return a\nf(1,A).append(2)", "A", {}),
    ("A=[1]\ndef f(a,n=1):\n  if n: f(a,0)\n  a.append(n)\nf(A)", "A", {}),
    ("A=[1]\nfrom collections import deque\ndef deque(a): a.append(2)\ndeque(A)", "A", {}),
    ("A=[[1]]\nfrom collections import deque\ndeque(A)[0].append(2)", "A", {}),
    ("A=[1]\nimport own as collections\ncollections.deque(A)", "A", {"own": "def deque(a): a.append(2)\n"}),
    ("A=[1]\nfrom own import call\n@call\ndef g(): A.append(2)", "A", {"own": "def call(f): f()\n"}),
    ("A=[1]\nR=[]\ndef reg(f):\n  R.append(f)\n  return f\n@reg\ndef g(): A.append(2)\nfor f in R: f()", "A", {}),
    ("A=[1]\ndef f(): return A\nf().append(2)", "A", {}),
    ("A=[1]\nclass C:\n  @property\n  def a(self): return A\nC().a.append(2)", "A", {}),
    ("A=[1]\ndef g(): yield A\nnext(g()).append(2)", "A", {}),
    ("A=[1]\nB=(A,)\nfor b in B: b.append(2)", "A", {}),
    ("A={'x':{'y':1}}\nA['x']['y']=2", "A", {}),
    ("A={'x':{'y':1}}\nA['x'].update(y=2)", "A", {}),
    ("A=[1]\nB=reversed([A])\nnext(B).append(2)", "A", {}),
    ("N=1\nM=N\nif M: N=2", "[N,M]", {}),
    ("N=1\nM=N+1\ndef f():\n  global N\n  N=5\nf()\nK=N", "[M,K]", {}),
    ("import a\nfrom b import go\ngo(a)", "a.T", {"a": "T=1\n", "b": "def go(m): m.T=2\n"}),
    ("import plugins\nfrom base import T", "T", {"base": "T=[]\n", "plugins": "import base\nbase.T.append(1)\n"}),
    ("from base import T\nimport plugins", "len(T)", {"base": "T=[]\n", "plugins": "from base import T\nT+=[1]\n"}),
    ("A=[]\nfor i in range(3): A.append(i*i)", "A", {}),
    ("A={}\nfor k in 'ab': A[k]=ord(k)", "A", {}),
    ("import json\nA={}\nA.update(json.loads('{\"x\": [1]}'))", "A['x']", {}),
    ("A=[ms(5)]\nA.append(ms(2))", "A", {}),
    ("A=[1]\nB=max(A,[0])\nB.append(2)", "A", {}),
    ("A=[1]\ndef f(list):\n  list(A)\nf(lambda a: a.append(2))", "A", {}),
    ("A=[1]\ndef sorted(a): return a\nB=sorted(A)\nB.append(2)", "A", {}),
    ("A=[1]\nfrom own import *\nB=sorted(A)\nB.append(2)", "A", {"own": "def sorted(a): return a\n"}),
    ("A=[1]\nfrom own import *\nfor a in A: a.append(2)", "A", {"own": "A=[[1]]\n"}),
    ("A=[1]\nB=A\nfor b in B: print(b)\nB.append(2)", "A", {}),
    ("A=[1]\nA+=[2]\nprint(A[0])", "A", {}),
    ("A=[1]\nif A[0]: A=[2]", "A", {}),
    ("A=[1]\ndef f(a): a.append(2)\n@GRAPHify\ndef g(x): f(A)\ng(1)", "A", {}),
    ("A=[1]\nf=A.copy().append\nf(2)\ng=A.append\ng(2)", "A", {}),
    ("A=[1]\nB=[]\nB.append(A)\nB[0].append(2)", "A", {}),
    ("A=[1]\nB=set()\nD={}\nD.update(k=A)\nfor d in D.values(): d.append(2)", "A", {}),
    ("A=[1]\nD={}\nB=D.setdefault('k',A)\nB.append(2)", "A", {}),
    ("A=[1]\nB=[A]\nC=B.pop()\nC.append(2)", "A", {}),
    ("A=[1]\nx,*y=[1,A]\nfor z in y: z.append(2)", "A", {}),
    (
        "A=[1]\nclass S:\n  def __init__(self, names):\n    self.names=names\n    self.names.append('z')\ns=S(A)",
        "A",
        {},
    ),
    (
        "A=[1]\nclass S:\n  def __init__(self, names): self.names=names\n"
        "  def add(self,x): self.names.append(x)\ns=S(A)\ns.add(1)",
        "A",
        {},
    ),
    (
        "from dataclasses import dataclass\n@dataclass\nclass P: names: list\nA=['a']\nP1=P(A)\nP1.names.append(3)",
        "A",
        {},
    ),
    (
        "from dataclasses import dataclass, field\nA=[1]\n@dataclass\nclass P:\n"
        "  x: list = field(default_factory=lambda: A)\np=P()\np.x.append(4)",
        "A",
        {},
    ),
    ("A=[1]\ndef f(a):\n  b=a\n  b.append(3)\n  return b\nB=f(A)", "A", {}),
    ("A=[1]\ndef f(a):\n  return a\nB=f(A)\nB.append(3)", "A", {}),
    ("A={'a':[1,2]}\ndef f(k): return A[k]\nX=f('a')\nX.append(1)", "A", {}),
    ("A=[[1,2],[3,4]]\ndef z(m):\n  for r in m: r[0]=0\nz(A)", "A", {}),
    ("A=[[1,2],[3,4]]\nfor i in range(2): A[i][0]=0", "A", {}),
    ("A=[[1,2],[3,4]]\nfor i,r in enumerate(A): r.append(i)", "A", {}),
    (
        "A=[1]\nhandlers=[]\ndef on(f):\n  handlers.append(f)\n  return f\n@on\ndef h(x): A.append(x)\n"
        "for h in handlers: h(1)",
        "A",
        {},
    ),
    ("A=[1]\nfrom types import SimpleNamespace\nc=SimpleNamespace(a=A)\nc.a.append(2)", "A", {}),
    ("A=[1]\nD={'k':A}\nD['k'].append(1)", "A", {}),
    ("A=[1]\nD={'k':A}\nD['k']+=[1]", "A", {}),
    ("A=[1]\nclass L(list): pass\ndef f(*args, **kw): kw['a'].append(1)\nf(a=A)", "A", {}),
    ("A=[1]\ndef f(*, a=None): a.append(1)\nf(a=A)", "A", {}),
    ("A=[1]\ndef f(x): (lambda y: y.append(2))(x)\nf(A)", "A", {}),
    ("A=[1]\nfs=[lambda y: y.append(2)]\nfor f in fs: f(A)", "A", {}),
    ("A=[1]\nfs={'x': lambda y: y.append(2)}\nfs['x'](A)", "A", {}),
    ("A=[1]\ndef f(y): y.append(2)\ng=f\ng(A)", "A", {}),
    ("A=[1]\ndef f(y): y.append(2)\nclass C:\n  run=staticmethod(f)\nC.run(A)", "A", {}),
    ("A=[1]\nfrom functools import partial\ndef f(y,z): z.append(2)\ng=partial(f,1)\ng(A)", "A", {}),
    ("A=[1]\nfrom functools import partial\ndef f(z): z.append(2)\ng=partial(f,A)\ng()", "A", {}),
    (
        "A=[1]\nimport threading\ndef f(z): z.append(2)\nt=threading.Thread(target=f,args=(A,))\nt.start()\nt.join()",
        "A",
        {},
    ),
    ("A=[1]\nimport bisect\nbisect.insort(A,0)", "A", {}),
    ("A=[2,1]\nimport random\nrandom.seed(1)\nX=random.shuffle(A)\nA[0]=9", "A", {}),
    ("A=[1]\nX=A.append(2)", "A", {}),
    ("A=[1]\ndel A[0]", "A", {}),
    ("A={'a':1}\nA.update(b=2)", "A", {}),
    ("A={'a':1}\nA|={'b':2}\nB=A\nB['c']=1", "A", {}),
    ("A=[1]\nB=A\nA+=[2]\nB.append(3)", "A", {}),
    ("A=[1]\nA=A+[2]\nB=A\nB.append(3)", "A", {}),
    ("B=[1]\nA=B\nB.append(2)", "A", {}),
    ("B=[1]\nA=(B,2)\nB.append(2)", "A", {}),
    ("B=[1]\nB.append(2)\nN=len(B)", "N", {}),
    ("B=[1]\ndef f(): B.append(2)\nf()\nN=len(B)", "N", {}),
    ("N=1\ndef f():\n  global N\n  N+=1\nf()", "N", {}),
    ("N=1\nclass C:\n  def run(self):\n    global N\n    N=5\nC().run()", "N", {}),
    ("N=1\ndef setup(n):\n  globals()['N']=n\nsetup(5)", "N", {}),
    ("N=1\nimport sys\nsys.modules[__name__].N=5", "N", {}),
    ("N=1\nimport sys\nm=sys.modules[__name__]\nm.__dict__['N']=5", "N", {}),
    ("N=1\nimport sys\nm=sys.modules[__name__]\nfor k in ['N']: setattr(m,k,5)", "N", {}),
    ("class C: N=1\ndef conf(c,**k):\n  for a,b in k.items(): setattr(c,a,b)\nconf(C,N=4)", "C.N", {}),
    ("class C: N=1\nc=C()\nc.__class__.N=3", "C.N", {}),
    ("class C: N=1\nclass M(type):\n  def __init__(cls,n,b,d): C.N=4\nclass D(metaclass=M): pass", "C.N", {}),
    ("import settings\nsettings.T.append(3)", "settings.T", {"settings": "T=[1]\n"}),
    ("import settings\ndef f(): settings.T.append(3)\nf()", "settings.T", {"settings": "T=[1]\n"}),
    (
        "import settings as s, other",
        "s.T",
        {"settings": "T=[1]\n", "other": "from settings import T as X\nX.append(2)\n"},
    ),
    (
        "import settings as s, other",
        "s.T",
        {"settings": "T=[1]\n", "other": "import settings\nY=settings.T\nY.append(2)\n"},
    ),
    ("import settings as s, other", "s.T", {"settings": "T=[1]\n", "other": "from settings import *\nT.append(2)\n"}),
    (
        "import settings as s\nimport other\nother.go(s.T)",
        "s.T",
        {"settings": "T=[1]\n", "other": "def go(t): t.append(1)\n"},
    ),
    ("from settings import T, load\nload()", "T", {"settings": "T=[1]\ndef load(): T.append(2)\n"}),
    ("from settings import conf\nconf.N=5\nX=conf", "conf.N", {"settings": "class conf: N=1\n"}),
    ("A=[1]\nq=[]\nq.append(A)\nq[0].append(2)", "A", {}),
    ("A=[1]\nq=[]\nq.extend([A])\nfor x in q: x.append(2)", "A", {}),
    ("A=[1]\nq={}\nq.setdefault('a',[]).append(A)\nq['a'][0].append(2)", "A", {}),
    ("A=[1]\nfrom collections import deque\nq=deque()\nq.append(A)\nq.popleft().append(2)", "A", {}),
    ("A=[1]\nclass O: pass\no=O()\nsetattr(o,'z',A)\no.z.append(2)", "A", {}),
    ("A=[1]\nx=y=A\ny.append(2)", "A", {}),
    ("A=[1]\nx,y=A,[5]\nx.append(2)", "A", {}),
    ("A=[1]\n(x:=A).append(2)", "A", {}),
    ("A=[1]\ndef f():\n  yield A\nfor a in f(): a.append(2)", "A", {}),
    (
        "A=[1]\nfrom contextlib import contextmanager\n@contextmanager\ndef f(): yield A\nwith f() as a: a.append(2)",
        "A",
        {},
    ),
    ("A=[1]\nfrom contextlib import nullcontext\nwith nullcontext(A) as a: a.append(2)", "A", {}),
    ("A=[1]\nclass C:\n  def __iadd__(self,o):\n    o.append(2)\n    return self\nc=C()\nc+=A", "A", {}),
    ("A=[1]\nclass C:\n  def __setitem__(self,k,v): v.append(2)\nc=C()\nc[0]=A", "A", {}),
    ("A=[1]\nclass C:\n  def __call__(self,v): v.append(2)\nc=C()\nc(A)", "A", {}),
    (
        "A=[1]\nclass C:\n  def __init__(self,v): self.v=v\n  def __iter__(self): return iter([self.v])\n"
        "for x in C(A): x.append(2)",
        "A",
        {},
    ),
    ("A=[1]\nfor x in (A,): x.append(2)", "A", {}),
    ("A=[1]\n[x.append(2) for x in (A,)]", "A", {}),
    ("A=[1]\nmap_=list(map(lambda x: x.append(2),[A]))", "A", {}),
    ("A=[3,1]\nlist.sort(A)", "A", {}),
    ("A=[1]\ndef outer():\n  b=A\n  def inner(): b.append(2)\n  inner()\nouter()", "A", {}),
    ("A=[1]\nclass C:\n  T=A\n  T.append(2)", "A", {}),
    ("A=[1]\nB=[A]\nC=[B]\nC[0][0].append(2)", "A", {}),
    ("A=[1]\nB=A if A else None\nB.append(2)", "A", {}),
    ("A=[1]\nB=A or None\nB.append(2)", "A", {}),
    ("A=[1]\nB=A.__iadd__([2])", "A", {}),
    ("A=[1]\neval('A.append(2)')", "A", {}),
    ("A=[1]\nexec('A.append(2)')", "A", {}),
    ("A=[1]\nf=getattr(A,'append')\nf(2)", "A", {}),
    ("A=[1]\nimport operator\noperator.methodcaller('append',2)(A)", "A", {}),
    ("A=[1]\nB=list([A])\nB[0].append(2)", "A", {}),
    ("A=[1]\nB=dict(zip('a',[A]))\nB['a'].append(2)", "A", {}),
    ("A=[1]\nimport copy\nB=copy.copy([A])\nB[0].append(2)", "A", {}),
    ("import settings\nS=settings.T", "S", {"settings": "T=[1]\nT.append(2)\n"}),
    (
        "from settings import T\nS=T\nimport settings\nsettings.go()",
        "S",
        {"settings": "T=[1]\ndef go(): T.append(2)\n"},
    ),
    ("from settings import T\nN=len(T)", "N", {"settings": "T=[1]\nT.append(2)\n"}),
    (
        "from settings import T\nimport settings\nsettings.go()\nN=len(T)",
        "N",
        {"settings": "T=[1]\ndef go(): T.append(2)\n"},
    ),
    ("import settings\nsettings.go()\nN=len(settings.T)", "N", {"settings": "T=[1]\ndef go(): T.append(2)\n"}),
    ("from a import S", "S", {"a": "from b import T\nS=T\n", "b": "T=[1]\nT.append(2)\n"}),
    ("from a import S\nimport b\nb.T.append(3)", "S", {"a": "from b import T\nS=T\n", "b": "T=[1]\n"}),
    ("import settings\nsettings.go()\nN=settings.T+1", "N", {"settings": "T=1\ndef go():\n  global T\n  T=5\n"}),
    (
        "import settings\nsettings.go()\nfrom settings import T\nN=T+1",
        "N",
        {"settings": "T=1\ndef go():\n  global T\n  T=5\n"},
    ),
    ("from settings import T as U\nN=len(U)", "N", {"settings": "T=[1]\nT.append(2)\n"}),
    ("from settings import *\nN=len(T)", "N", {"settings": "T=[1]\nT.append(2)\n"}),
    ("from pkg import T\nN=len(T)", "N", {"pkg/__init__": "from .a import T\n", "pkg/a": "T=[1]\nT.append(2)\n"}),
    ("import pkg.a\nN=len(pkg.a.T)", "N", {"pkg/__init__": "", "pkg/a": "T=[1]\nT.append(2)\n"}),
    ("import settings as s\nN=s.T[0]", "N", {"settings": "T=[1]\nT[0]=2\n"}),
    ("from types import SimpleNamespace as NS\nA=[1]\nc=NS(a=A)\nc.a.append(2)", "A", {}),
    ("A=[1]\nD={}\nB=D.get('k',A)\nB.append(2)", "A", {}),
    (
        "A=[1]\nclass B:\n  def __init__(self,x): self.x=x\nclass C(B):\n  def grow(self): self.x.append(1)\n"
        "C(A).grow()",
        "A",
        {},
    ),
    ("from collections import namedtuple\nT=namedtuple('T','a b')\nA=[1]\nt=T(a=A,b=2)\nt.a.append(3)", "A", {}),
    ("A=[1]\ndef g(): yield from [A]\nfor x in g(): x.append(2)", "A", {}),
    ("A=[1]\nmatch ({'a':A},):\n  case ({'a':x},): x.append(2)", "A", {}),
    ("A=[1]\nD={'k':{}}\nD['k']['j']=A\nD['k']['j'].append(2)", "A", {}),
    ("A=[1]\nD={}\nD.setdefault('x',{})['y']=A\nD['x']['y'].append(2)", "A", {}),
    (
        "A=[1]\nclass B:\n  def __init__(self,x): self.x=x\nclass C(B):\n  def __init__(self,y):\n"
        "    super().__init__(y)\n    self.x.append(3)\nC(A)",
        "A",
        {},
    ),
    (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n  a: list\n@dataclass\nclass Q(P):\n  c: int=0\n"
        "A=[1]\nq=Q(A)\nq.a.append(2)",
        "A",
        {},
    ),
    ("A=[1]\nfrom collections import OrderedDict\nD=OrderedDict(a=A)\nD['a'].append(2)", "A", {}),
    ("A=[1]\nfrom collections import defaultdict\nD=defaultdict(list,a=A)\nD['a'].append(2)", "A", {}),
    ("A=[1]\nfrom collections import OrderedDict\nD=OrderedDict([('a',A)])\nD['a'].append(2)", "A", {}),
    ("T=[1]\nN=len(T)\nL=[N,T]\nT.append(2)", "L", {}),
    ("T=[1]\nT.append(2)\nK=len(T)\nN=K+1\nK=2\nL=[K,N]", "L", {}),
    ("T=[1]\nT.append(2)\nK=len(T)\nN=K+1\nK=2\nL=[N,K]", "L", {}),
]
"""Programs, an expression whose value is another one than the first assignment says, and modules beside the program."""

UNCHANGED: list[tuple[str, str, Modules]] = [
    ("class C: T = []\nsorted(C.T)", "C.T", {}),
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
    ("A=[1,2]\nB=[]\nfor a in A: B.append(a*2)", "A", {}),
    ("A=['a','b']\nB=[]\nC=set()\nfor a in A:\n  B.append(a)\n  C.add(a)\nB.sort()", "A", {}),
    ("A=[1,2]\ndef f(a):\n  found=[]\n  for x in a: found.append(x*2)\n  return found\nB=f(A)\nB.append(3)", "A", {}),
    (
        "A={'a':{'b':1}}\ndef walk(t,out=None):\n  out=[] if out is None else out\n  for k,v in t.items():\n"
        "    out.append(k)\n    if isinstance(v,dict): walk(v,out)\n  return out\nB=walk(A)",
        "A",
        {},
    ),
    ("A=['a','b']\nG={}\nfor a in A: G.setdefault(a[0],[]).append(a)", "A", {}),
    ("A=[1,2,3]\nx,*y=A\ny.append(2)", "A", {}),
    ("from pathlib import Path\nA=['a','b']\nP=Path('x').joinpath(*A)\nB=[P/a for a in A]", "A", {}),
    ("import logging\nA={'a':10}\nlogging.getLogger('tt.x').setLevel(A['a'])", "A", {}),
    (
        "import argparse\nA=['x']\np=argparse.ArgumentParser()\np.add_argument('--c',choices=A)\nB=p.parse_args([])",
        "A",
        {},
    ),
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
    ("A=[1,2]\nprint(A, len(A), sorted(A)[0], A[1:], f'{A}')\nassert 1 in A\nfor a in A: print(a)", "A", {}),
    ("A={'x':1}\nB={**A}\nB.update(y=2)\nfor k, v in A.items(): print(k, A[k], v)\nC=A.copy()", "A", {}),
    ("A=(1,(2,3))\ndef f(x): return x\nf(A)\nB=A", "A", {}),
    ("A=[1]\ndef f(x): A.append(x)", "A", {}),
    ("A=[1]\n@SQify\ndef f(x): A.append(x)", "A", {}),
    ("A=[1]\ndef f():\n  A = []\n  A.append(2)\nf()", "A", {}),
    ("A=3\nimport logging\nlogging.getLogger('x').debug('%s', A)", "A", {}),
    ("class C:\n  N=1\n  def __init__(self): self.n=C.N\nc=C()\nA=C.N", "A", {}),
    ("A=[1,2]\nif __name__ == '__main__':\n  A.append(3)", "A", {}),
    ("A=[1,2]\nfrom functools import lru_cache\n@lru_cache\ndef f(): return A", "A", {}),
    ("A=[1,2]\nimport numpy as np\nX=np.array(A)\nX[0]=3\nY=np.asarray(A, dtype=float)", "A", {}),
    ("A=[1,2]\nfrom collections import deque, Counter\nQ=deque(A, maxlen=3)\nQ.append(5)\nC=Counter(A)", "A", {}),
    ("A=[1,2]\ndef check(a):\n  assert len(a)==2\n  return [x for x in a]\nS=check(A)\nS.append(3)", "A", {}),
    ("A=[1,2]\ndef f(x, a, n=3):\n  return f(x, a, n - 1) + a[0] if n else a[1]\nS=f(1, A)", "A", {}),
    ("A=[1,2]\ndef f(a):\n  b=list(a)\n  b.append(3)\n  return b\nB=f(A)", "A", {}),
    (
        "A=['a','b']\nclass S:\n  def __init__(self, names):\n    self.names=list(names)\n"
        "    self.names.append('z')\ns=S(A)",
        "A",
        {},
    ),
    (
        "A=['a']\nclass S:\n  def __init__(self):\n    self.A=[]\n  def add(self,x): self.A.append(x)\ns=S()\ns.add(1)",
        "A",
        {},
    ),
    ("A=['a']\nN=len(A)\nA.append('b')", "N", {}),
    ("RATE=5\nclass C:\n  pass\nc=C()\nc.RATE=9", "RATE", {}),
    ("import argparse\nRATE=5\np=argparse.ArgumentParser()\na=p.parse_args([])\na.RATE=7", "RATE", {}),
    ("import math\nA=[0.0,1.0]\nB=[math.sin(a) for a in A]\nB.sort()\nm=max(A)", "A", {}),
    ("import numpy as np\nK=[[1,0],[0,1]]\nM=np.array(K)\nM[0][0]=5\nM=M@M", "K", {}),
    ("import numpy as np\nK=[[1,0],[0,1]]\nM=np.asarray(K,dtype=float)\nM[0,0]=5\nM*=2", "K", {}),
    (
        "from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass P:\n  x: float\n  y: float\n"
        "PS=[(0,1),(1,2)]\nQ=[P(x,y) for x,y in PS]\nQ.append(P(1,2))",
        "PS",
        {},
    ),
    (
        "from dataclasses import dataclass, field\nA=[1]\n@dataclass\nclass P:\n"
        "  x: list = field(default_factory=lambda: list(A))\np=P()\np.x.append(4)",
        "A",
        {},
    ),
    (
        "import os\nA=['x']\nPATHS=[os.path.join('d',a) for a in A]\nos.environ.update(TT_B='1')\nPATHS.append('y')",
        "A",
        {},
    ),
    ("A={'a':1}\nB=dict(A, b=2)\nB['c']=3\nC=dict(**A)\nC['d']=1\nD=A|{'e':1}\nD['f']=1", "A", {}),
    ("A={'a':{'x':1}}\nB={k:dict(v) for k,v in A.items()}\nB['a']['x']=2", "A", {}),
    ("import copy\nA={'a':{'x':1}}\nB=copy.deepcopy(A)\nB['a']['x']=2", "A", {}),
    ("A=[1,2]\nI={a:i for i,a in enumerate(A)}\nI[5]=1\nS=set(A)\nS.add(3)", "A", {}),
    ("A=[1,2]\ndef show(xs,*rest,sep=','): print(sep.join(map(str,xs)))\nshow(A)\nshow(A,1)", "A", {}),
    (
        "A=[1,2]\nclass Reg:\n  items=[]\n  @classmethod\n  def add(cls,x): cls.items.append(x)\nReg.add(3)\n"
        "Reg.add(A[0])",
        "A",
        {},
    ),
    (
        "items=[1,2]\nclass Reg:\n  items=[]\n  @classmethod\n  def add(cls,x): cls.items.append(x)\nReg.add(3)",
        "items",
        {},
    ),
    (
        "import logging\nlogging.basicConfig(level=logging.INFO)\nLEVELS={'a':logging.INFO}\nA=[1]\n"
        "log=logging.getLogger(__name__)\nlog.debug('a %s',A)",
        "A",
        {},
    ),
    ("A=[1,2]\nif len(A)>1:\n  X=A[0]\nelse:\n  X=0", "A", {}),
    ("A=[1]\ntry:\n  X=A[3]\nexcept IndexError:\n  X=None", "A", {}),
    ("A=[1]\nwith open('/dev/null') as f:\n  Y=[x for x in A]\nY.append(1)", "A", {}),
    ("import json\nA={'a':1}\nB=json.loads(json.dumps(A))\nB['x']=1", "A", {}),
    ("A=[3,1,2]\nB=sorted(A,key=lambda a:-a)\nB.pop()\nC=list(filter(None,A))\nC.pop()", "A", {}),
    (
        "A=[1,2]\nfrom typing import NamedTuple\nclass T(NamedTuple):\n  a: int\n  b: int\nt=T(*A)\nu=t._replace(a=3)",
        "A",
        {},
    ),
    (
        "from collections import namedtuple, defaultdict\nF=['a','b']\nT=namedtuple('T',F)\n"
        "d=defaultdict(list)\nfor f in F: d[f].append(1)",
        "F",
        {},
    ),
    ("N=3\ndef f():\n  N=5\n  return N\nX=f()", "N", {}),
    ("N=3\nX=[N for N in range(5)]", "N", {}),
    ("N=3\ndef g():\n  global M\n  M=5\ng()", "N", {}),
    ("A=[1]\ndef f(n): return A[n]\nX=f(0)\nX+=1", "A", {}),
    ("A={'a':[1,2]}\ndef f(k): return A[k]\nX=sum(f('a'))", "A", {}),
    ("A={'a':[1,2]}\ndef f(k): return A[k]\nX=f('a')\nY=X[0]+1\nZ=[*X,3]\nZ.append(4)", "A", {}),
    ("class C:\n  N=1\n  def __init__(self,n=None): self.N=n or C.N\nc=C(3)\nc.N=4", "C.N", {}),
    ("class C:\n  N=1\n  def __init__(self): self.__dict__.update(N=3)\nc=C()", "C.N", {}),
    ("class C:\n  N=1\n  def __init__(self,**k):\n    for a,b in k.items(): setattr(self,a,b)\nc=C(N=4)", "C.N", {}),
    (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass C:\n  N: int = 1\n"
        "  def __post_init__(self): object.__setattr__(self,'N',3)\nc=C()",
        "C.N",
        {},
    ),
    ("class C:\n  N=1\nN=4\nclass D:\n  def __init__(self): self.N=3\nd=D()", "[C.N,N]", {}),
    ("import settings\nX=settings.T\nY=list(X)\nY.append(1)", "settings.T", {"settings": "T=[1]\n"}),
    ("import settings\nT=[9]\nT2=T+settings.T\nT2.append(3)", "[T,settings.T]", {"settings": "T=[1]\n"}),
    ("import settings\nT=[9]", "[T,settings.U]", {"settings": "T=[1]\nT.append(2)\nU=3\n"}),
    (
        "import random\nrandom.seed(1)\nA=[1,2,3]\nX=random.sample(A,2)\nX.append(1)\nr=random.Random(3)\n"
        "Y=r.choices(A,k=2)\nY.append(5)",
        "A",
        {},
    ),
    ("import itertools as it\nA=[1,2]\nP=list(it.product(A,A))\nP.append(0)\nC=it.cycle(A)\nn=next(C)", "A", {}),
    ("import functools\nA=[1,2]\nX=functools.reduce(lambda a,b:a*b,A,1)", "A", {}),
    ("import struct\nA=[1,2]\nB=struct.pack('2B',*A)\nC=bytes(A)\nD=bytearray(A)\nD.append(3)", "A", {}),
    ("import array\nA=[1,2]\nD=array.array('i',A)\nD.append(3)", "A", {}),
    ("A=[1,2]\nassert all(isinstance(a,int) for a in A), A", "A", {}),
    ("A=[1,2]\nif not A: raise ValueError(A)", "A", {}),
    ("A={'k':1}\nX='{k}'.format(**A)\nY='%(k)s' % A", "A", {}),
    ("import threading\nA=[1]\nL=threading.Lock()\nwith L: X=A[0]", "A", {}),
    ("import sys\nA=['--x']\nif len(sys.argv)>99: sys.argv=A", "A", {}),
    ("A=[1]\nCACHE={}\ndef get(k):\n  if k not in CACHE: CACHE[k]=A[0]\n  return CACHE[k]\nget(1)", "A", {}),
    ("A=[1]\nhandlers=[]\ndef on(f):\n  handlers.append(f)\n  return f\n@on\ndef h(x): return A[0]+x", "A", {}),
    (
        "A=[1,2]\nclass Stack:\n  def __init__(self): self.xs=[]\n  def append(self,x): self.xs.append(x)\n"
        "s=Stack()\nfor a in A: s.append(a)",
        "A",
        {},
    ),
    ("A=[[1,2],[3,4]]\ndef total(m):\n  t=0\n  for r in m:\n    for c in r: t+=c\n  return t\nX=total(A)", "A", {}),
    ("A=[[1,2],[3,4]]\ndef tr(m): return [list(c) for c in zip(*m)]\nX=tr(A)\nX[0][0]=9", "A", {}),
    ("A=[1]\nfrom contextlib import suppress\nwith suppress(KeyError): X={}[A[0]]", "A", {}),
    ("A=[1]\nfrom enum import Enum\nE=Enum('E',['a','b'])\nx=E.a", "A", {}),
    ("A=[1]\n__all__=['A','main']\n__version__='1'", "A", {}),
    ("def gen(n):\n  for i in range(n): yield i\nA=[1]\nX=list(gen(A[0]))\nX.append(2)", "A", {}),
    ("try:\n  import tomllib\nexcept ImportError:\n  tomllib=None\nN=3", "N", {}),
    ("try:\n  from math import tau\nexcept ImportError:\n  tau=6.28\nN=3", "N", {}),
    ("N=1\nclass C: N=2\ndef f():\n  global N\n  N=3\nf()\nX=C.N+1", "X", {}),
    (
        "import settings\nN=len(settings.T)\nM=settings.K+N",
        "[N,M]",
        {"settings": "T=[1]\nK=3\ndef go(): T.append(2)\n"},
    ),
    ("from a import T\nimport b\nN=len(T)", "N", {"a": "T=[1]\n", "b": "T=[]\nT.append(2)\n"}),
    ("import a\nimport b\nN=a.T[0]", "N", {"a": "T=[1]\n", "b": "T=[1]\nT[0]=2\n"}),
    (
        "from collections import defaultdict\nPAIRS=[['a',1],['b',2]]\nG=defaultdict(list)\n"
        "for p in PAIRS: G[p[0]].append(p)\nG['z'].append(0)\nG['a'].append([3])",
        "PAIRS",
        {},
    ),
    (
        "from contextlib import contextmanager\nCAL=[1.0,0.5]\nLOG=[]\n@contextmanager\ndef using(c):\n"
        "  LOG.append(len(c))\n  yield c\n  LOG.append(0)\nwith using(CAL) as c:\n  X=c[0]\nX+=1",
        "CAL",
        {},
    ),
    (
        "from types import SimpleNamespace as NS\nGAINS=[1,2]\ncfg=NS(gains=GAINS,rate=3)\ncfg.rate=5\n"
        "cfg.extra={}\ncfg.extra['a']=1",
        "GAINS",
        {},
    ),
    ("NAMES=['a','b']\nTABLE={}\ndef fill(table,names):\n  for n in names: table[n]=0\nfill(TABLE,NAMES)", "NAMES", {}),
    (
        "NAMES=['a','b']\nTABLE={}\ndef fill(*,table,names):\n  for n in names: table[n]=0\n"
        "fill(table=TABLE,names=NAMES)",
        "NAMES",
        {},
    ),
    (
        "LIMITS=[0,10]\nREG={}\ndef register(name,limits):\n  REG[name]=limits\nregister('a',LIMITS)\n"
        "register('b',[1,2])\nREG['c']=[3]",
        "LIMITS",
        {},
    ),
    (
        "PLANT={'a':0.9,'b':0.1}\nclass Plant:\n  def __init__(self,params):\n    self.params=params\n"
        "    self.state=[0.0]\n  def step(self,u):\n    self.state[0]=self.params['a']*self.state[0]+u\n"
        "    self.state.append(u)\np=Plant(PLANT)\np.step(1)",
        "PLANT",
        {},
    ),
    (
        "HANDLERS={}\nPRIO=[1,2]\ndef handler(name,prio=PRIO):\n  def wrap(f):\n    HANDLERS[name]=(f,prio)\n"
        "    return f\n  return wrap\n@handler('a')\ndef on_a(x): return x\n@handler('b',[3])\n"
        "def on_b(x): return PRIO[0]+x\nfor n,(f,p) in HANDLERS.items(): f(1)",
        "PRIO",
        {},
    ),
    (
        "GRID=[[1,2],[3,4]]\ndef cells(g):\n  for y,row in enumerate(g):\n"
        "    for x,v in enumerate(row): yield x,y,v\nFLAT=list(cells(GRID))\nFLAT.append(0)\nD={}\n"
        "for x,y,v in cells(GRID): D[x,y]=v",
        "GRID",
        {},
    ),
]
"""Programs in which code at module level uses a constant, and changes nothing of it."""


def written(code: str, modules: Modules, folder: Path) -> Path:
    """The file of a program, beside its modules."""
    for name, text in modules.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder / "prog.py"


def known(code: str, expression: str, modules: Modules, folder: Path) -> object:
    """The value of an expression in a graph."""
    program = written(code, modules, folder)
    program.write_text(f"{HEAD}{code}\n@GRAPHify\ndef main(given):\n  return [{expression}]\n")
    constant = compile_program(program).sqs[0].ports[0].constant
    assert constant is not None
    return decode_constant(constant[0])[0]


def of_python(code: str, expression: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> object:
    """The value of an expression behind code that Python has run."""
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    program = types.ModuleType("prog_of_test")
    own = {program.__name__, *(path.stem for path in folder.iterdir())}
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in own}
    for name in before:
        del sys.modules[name]  # another test's
    sys.modules[program.__name__] = program
    try:
        exec(HEAD + code, program.__dict__)  # one of the programs above
        return eval(expression, program.__dict__)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in own]:
            del sys.modules[name]
        sys.modules.update(before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("code", "expression", "modules"), CHANGED)
def test_a_constant_that_code_at_import_may_change_is_refused_or_right(
    code, expression, modules, tmp_path, monkeypatch
):
    try:
        found = known(code, expression, modules, tmp_path)
    except TTSyntaxError as error:
        assert re.search(r"line \d+.* not known at compile time|`f` is not an SQ", str(error))
    else:
        assert found == of_python(code, expression, monkeypatch, tmp_path)


@pytest.mark.parametrize("name", ["A", "B"])
def test_each_entry_of_a_namespace_that_is_set_counts(name, tmp_path):
    with pytest.raises(TTSyntaxError, match=f"`{name}` .*is not known at compile time"):
        known("A=1\nB=1\ng=globals()\ng['A']=2\ng['B']=3", name, {}, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("code", "expression", "modules"), UNCHANGED)
def test_a_constant_that_no_code_changes_is_known(code, expression, modules, tmp_path, monkeypatch):
    assert known(code, expression, modules, tmp_path) == of_python(code, expression, monkeypatch, tmp_path)


MESSAGES = [
    ("A = [1]\nB = A\nB.append(2)", "A", "`A` (line 4) is not known"),
    ("A = [1]\ndef f():\n  A.pop()\nf()", "A", "`A` (line 4) is not known"),
    ("N = 1\ndef f():\n  global N\n  N = 2\nf()", "N", "`N` (line 5) is not known"),
    ("A = [1]\nN = 2\nN = len(A)\nA.append(2)\nN = len(A)", "N", "`N` (line 5) is not known"),
    ("A = [1]\ndef f(a): a.append(2)\nf(A)", "A", "`A` (line 3) is not known"),
    ("import s\ns.T = 2", "s.T", "`T` (line 3) is not known"),
    ("class C: N = 1\nC.N = 2", "C.N", "`C` is changed in line 3, so `C.N` is not known"),
    ("N = 1\nexec('N = 2')", "N", "`N` (line 3) is not known"),
    ("N = 1\nglobals()['N'] = 2", "N", "`N` (line 3) is not known"),
]


@pytest.mark.parametrize(("code", "expression", "message"), MESSAGES)
def test_a_message_says_which_line_may_change_a_constant_and_what_to_do(code, expression, message, tmp_path):
    with pytest.raises(TTSyntaxError, match=re.escape(message)) as caught:
        known(code, expression, {"s": "T = []\ndef change(t): t.append(1)\n"}, tmp_path)
    assert "give that code a copy" in str(caught.value)


def test_a_message_names_the_module_that_may_change_a_constant(tmp_path):
    with pytest.raises(TTSyntaxError, match=r"`A` \(line 2 of `.*s.py`\) is not known"):
        known("import s\nA = [1]\ns.change(A)", "A", {"s": "T = []\ndef change(t): t.append(1)\n"}, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("code", "expression", "modules"), CHANGED + UNCHANGED)
def test_a_body_sees_the_value_that_python_gives_a_constant(code, expression, modules, tmp_path, monkeypatch):
    program = written(code, modules, tmp_path)
    lines = [HEAD, code, "@SQify", f"def body_of_test(x): return {expression}"]
    program.write_text("\n".join([*lines, "@GRAPHify", "def main(given): return body_of_test(given)", ""]))
    wrong: tuple[type[Exception], ...] = ()
    expected: object = None
    try:
        expected = of_python(code, expression, monkeypatch, tmp_path)
    except NameError:
        wrong = (NameError, BodyError)
    except TTError:  # a graph is called there
        return
    graph = compile_program(program, "main")
    code_of_graph = GraphCode(graph)
    try:
        found = code_of_graph.body(next(sq for sq in graph.sqs if sq.body))[0](1)
    except wrong:
        return
    finally:
        code_of_graph.forget()
    assert found == expected


def test_nothing_of_a_program_is_run(tmp_path, capfd):
    code = f"import pathlib\npathlib.Path({str(tmp_path / 'marker')!r}).touch()\nprint('told')\nA = [1]\nB = list(A)"
    assert known(code, "A", {}, tmp_path) == [1]
    with pytest.raises(TTSyntaxError, match=re.escape("`A` (line 7) is not known")):
        known(f"{code}\nA.append(2)", "A", {}, tmp_path)
    assert not (tmp_path / "marker").exists() and capfd.readouterr() == ("", "")


def test_a_statement_that_is_nested_too_deeply_is_no_mistake_where_no_graph_uses_it():
    text = f"from ticktalk import *\nN = 3\nX = {'+'.join(['1'] * 900)}\n@GRAPHify\ndef main(a): return [N, a]\n"
    assert decode_constant(compile_source(text, "p.py", "p").sqs[0].ports[0].constant[0]) == 3


def test_a_default_means_what_its_names_mean_at_the_def():
    text = (
        "from ticktalk import *\nN = 100\nT = [1]\n@STREAMify\ndef s(t, k=T, TTPeriod=2 * N): return 1\n"
        "@GRAPHify\ndef part(a, c=N): return [a, c]\n"
        "@GRAPHify\ndef main(a, b=N): return s(a), part(a)\nN = 300\nT.append(2)\n"
    )
    graph = compile_source(text, "p.py", "p")
    stream, part = graph.sqs[:2]
    assert graph.inputs[1].default == [100]
    assert stream.period == 200
    assert stream.parameters == {} and graph.functions["s"].source.startswith("def s(t, k=T")
    assert part.ports[1].constant == [100]


def test_a_default_that_may_be_changed_under_an_earlier_name_is_refused():
    text = "from ticktalk import *\nT = [1]\n@GRAPHify\ndef main(a, b=T): return a, b\nT.append(2)\nT = [5]\n"
    with pytest.raises(TTSyntaxError, match="`T` is bound anew below, and what a default has of it may be changed"):
        compile_source(text, "p.py", "p")
