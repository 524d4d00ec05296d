"""A bearing is watched by its vibration: samples are brought to an even grid, and an FFT finds the tone.

The sensor gives a sample every 4 ms, and the FFT wants one every 5 ms. So RESAMPLE draws a line between the samples.
"""

import numpy as np

from ticktalk import RESAMPLE, GRAPHify, SQify, STREAMify, TTEmpty, component, firing, ms, sq_state

STEP_MS = 5
WINDOW = 200
"""Samples of one FFT: a second of 5 ms steps."""


@STREAMify
def accelerate(trigger: int) -> float:
    return component("sensor").at(firing().instant)


@SQify
def window(sample: float) -> np.ndarray | TTEmpty:
    global sq_state
    samples = sq_state.setdefault("samples", [])
    samples.append(sample)
    if len(samples) < WINDOW:
        return TTEmpty()
    whole = np.array(samples)
    samples.clear()
    return whole


@SQify
def tone(samples: np.ndarray) -> float:
    """The loudest tone, in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), STEP_MS / 1000)[int(spectrum[1:].argmax()) + 1])


@GRAPHify
def vibration(trigger: int) -> float:
    raw = accelerate(trigger, TTPeriod=ms(4))
    even = RESAMPLE(raw, TTPeriod=ms(STEP_MS), order=1)
    return tone(window(even))
