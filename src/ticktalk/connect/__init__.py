"""Drivers for what people have already: MQTT, files with times, rosbag2, a serial line, HTTP. Each is a component.

A driver is an object that a device's functions get by `component("NAME")`. One of these is made in a module of the
user, which says where it connects:

    from ticktalk.connect.mqtt import Mqtt
    def speed() -> Mqtt: return Mqtt("broker.local", topic="car/speed")

and given as `--component car.speed=drivers:speed`. `read()` gives the newest value, or `TTEmpty()` if there is none
since the last: then the stream sends nothing. A playback gives the value of an instant: `at(firing().instant)`.
"""
