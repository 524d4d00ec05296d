"""From a program to its graph."""

from ticktalk.language.compiler import TTCompile, compile_program

__all__ = ["TTCompile", "compile_program"]
