"""Simulated cameras: each sees the objects that are near it."""

WORLD = [("cyclist", 3.0, 1.0), ("truck", -20.0, 0.0), ("child", 8.0, -4.0)]


class Camera:
    """Sees objects up to some metres from where it stands, with an error of a decimetre."""

    def __init__(self, x: float, reach: float, error: float) -> None:
        self.x, self.reach, self.error = x, reach, error

    def objects(self) -> list[tuple[str, float, float]]:
        return [(kind, x + self.error, y) for kind, x, y in WORLD if abs(x - self.x) <= self.reach]


def car_a() -> Camera:
    return Camera(-15.0, 20.0, 0.1)


def car_b() -> Camera:
    return Camera(12.0, 10.0, -0.1)


def unit() -> Camera:
    return Camera(0.0, 6.0, 0.0)
