"""The temperatures of a day, from `day.csv` beside this file: a row every ten minutes, degrees Celsius."""

from pathlib import Path

from ticktalk.connect.playback import CsvPlayback


class Minutes(CsvPlayback):
    """Times are minutes of the day; three streams ask at the same instant, and each gets the row."""

    def __init__(self) -> None:
        super().__init__(Path(__file__).parent / "day.csv", time="minute", unit="min", hold=True)
