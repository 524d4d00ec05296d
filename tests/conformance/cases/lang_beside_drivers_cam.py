"""A component's driver for `lang_beside_drivers.py`."""


class Camera:
    def __init__(self):
        self.n = 0

    def read(self):
        self.n += 1
        print("reading")
        return 1000 * self.n
