from dataclasses import dataclass


@dataclass
class Sample:
    place: str
    height: float

    def text(self):
        return f"{self.place}: {self.height}"
