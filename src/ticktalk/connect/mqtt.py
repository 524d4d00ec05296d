"""MQTT (extra `mqtt`): a topic as a sensor, and values published to topics."""

from __future__ import annotations

import json
import logging
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from ticktalk.connect.newest import MOST, Newest

logger = logging.getLogger("ticktalk")


class Mqtt(Newest):
    """A client of an MQTT broker. It connects by itself, again and again if it must.

    A broker that refuses is a warning, and so is the first try that finds none.

    Values are JSON; what comes and is none, is `bytes`.

    Args:
        host, port: of the broker.
        topic: what to subscribe to, wildcards allowed; None: it only publishes.
        user, password: for the broker.
        tls: whether the connection is encrypted, and the broker's certificate checked.
        qos: 0, 1 or 2, as MQTT has it; for both directions.
        most: values that wait to be read.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 1883,
        topic: str | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: bool = False,
        qos: int = 0,
        most: int = MOST,
    ) -> None:
        super().__init__(most)
        self._topic, self._qos, self._broker = topic, qos, f"{host}:{port}"
        self._missed = False  # the last try found no broker
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        if user is not None:
            self._client.username_pw_set(user, password)
        if tls:
            self._client.tls_set()
        self._client.max_queued_messages_set(most)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._found_none
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._came
        self._client.connect_async(host, port)
        self._client.loop_start()

    def _found_none(self, client: paho.Client, data: Any) -> None:
        if not self._missed:
            self._missed = True
            logger.warning("no MQTT broker answers at %s: it is tried again and again", self._broker)

    def _connected(self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, *more: Any) -> None:
        self._missed = False
        if reason.is_failure:
            logger.warning("the MQTT broker at %s refuses the connection: %s", self._broker, reason)
        elif self._topic is not None:
            client.subscribe(self._topic, self._qos)

    def _subscribed(self, client: paho.Client, data: Any, number: int, reasons: list[ReasonCode], *more: Any) -> None:
        if reasons[0].is_failure:
            logger.warning("the MQTT broker at %s refuses the topic %s: %s", self._broker, self._topic, reasons[0])

    def _came(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        try:
            self.put(json.loads(message.payload))
        except (ValueError, RecursionError):  # an error here would end the thread that takes values
            self.put(message.payload)

    def publish(self, topic: str, value: Any) -> None:
        """Send a value: `bytes` as they are, all else as JSON.

        Without a connection a value of `qos` 1 or 2 waits for one, bounded. One of `qos` 0 is not sent.

        Raises:
            TypeError: JSON does not hold it.
            OSError: too many values wait for a connection, or there is none and `qos` is 0.
        """
        sent = self._client.publish(topic, value if isinstance(value, bytes) else json.dumps(value), self._qos)
        if sent.rc == paho.MQTT_ERR_QUEUE_SIZE:
            raise OSError(f"{topic}: too many values wait for a connection to the broker")
        if self._qos == 0 and sent.rc == paho.MQTT_ERR_NO_CONN:
            raise OSError(f"{topic}: not sent, for there is no connection to the broker; with qos=1 it would wait")

    def close(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self._client.loop_stop()
