"""The devices' door to their MQTT broker (paho): clean start, QoS 0 for commands unless the devices remember ids, QoS 1 for what is measured.

Careless devices have QoS 1, a session that outlives the connection, and take what was retained."""
import json

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

CONTROL = "simulator/control"


class Devices:
    def __init__(self, station, host, port, client_id, remembers, careless, on_message, on_ready):
        self.station = station
        self.host, self.port = host, port
        self.qos = 1 if remembers or careless else 0
        self.careless = careless
        self.on_message, self.on_ready = on_message, on_ready
        self.connected = False
        self.client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5)
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._message

    def connect(self):
        """Opens the connection; raises OSError where nobody listens."""
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600 if self.careless else 0
        self.client.connect(self.host, self.port, keepalive=15, clean_start=not self.careless, properties=properties)

    def topics(self):
        for actuator in self.station.actuators:
            yield actuator.topic + "/set"
            yield actuator.topic + "/stop"
        yield self.station.topic(CONTROL)

    def _connected(self, client, data, flags, reason, properties=None):
        if reason == 0:
            client.subscribe([(topic, mqtt.SubscribeOptions(qos=self.qos)) for topic in self.topics()])

    def _subscribed(self, client, data, mid, reasons, properties=None):
        self.connected = True
        for actuator in self.station.actuators:
            if actuator.last_answer():
                self.answer(actuator, actuator.last_answer())
        self.on_ready()

    def _disconnected(self, client, data, reason, properties=None):
        self.connected = False

    def _message(self, client, data, message):
        if self.careless or not message.retain:      # a retained command is an old one
            self.on_message(message.topic, message.payload)

    def run(self, seconds):
        """Serves the socket for at most so long; False when the connection is gone."""
        return self.client.loop(timeout=seconds) == mqtt.MQTT_ERR_SUCCESS

    def publish(self, messages):
        if not self.connected:
            return
        for topic, payload in messages:
            self.client.publish(topic, payload, qos=1)

    def answer(self, actuator, answer):
        if actuator.fault != "mute":
            self.client.publish(actuator.topic + "/reply", json.dumps(answer), qos=1)

    def close(self):
        self.client.disconnect()
