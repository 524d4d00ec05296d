"""From program to graph: the decorators a program is written with, and the compiler that reads it.

`compiler.py` says in which order to read. An ensemble that only runs bodies never loads it.
"""
