"""Recordings: a file of all records of a run, and the same run once more from it."""
