"""Lies beside `lang_beside.py` and travels with it."""

open("side_effect", "a").close() if __name__ == "__main__" else None
COUNT = 0


def bump(x):
    global COUNT
    COUNT += 1
    return x + COUNT
