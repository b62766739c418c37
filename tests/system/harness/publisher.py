"""Publishes readings with QoS 1 and keeps the ledger of what the MQTT broker acknowledged: the judge's first half."""
import json
import threading
import time

import paho.mqtt.client as mqtt


class Publisher:
    def __init__(self, port, client_id="publisher", inflight=200):
        self.acked = []             # (topic, payload) in the order of their PUBACKs
        self.pending, self.early = {}, set()
        self.changed = threading.Condition()
        self.client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv311)
        self.client.max_inflight_messages_set(inflight)
        self.client.on_publish = self._published
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _published(self, client, data, mid):
        with self.changed:
            if mid in self.pending:
                self.acked.append(self.pending.pop(mid))
            else:
                self.early.add(mid)     # acknowledged before publish() below knew the number
            self.changed.notify_all()

    def publish(self, topic, payload, qos=1):
        """Hands one message to the client; payload: bytes or text, or anything else as JSON."""
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps(payload, ensure_ascii=False)
        # Not under our lock: paho calls _published while it holds its own.
        mid = self.client.publish(topic, payload, qos=qos).mid
        with self.changed:
            if mid in self.early:
                self.early.remove(mid)
                self.acked.append((topic, payload))
            else:
                self.pending[mid] = (topic, payload)

    def settle(self, timeout=60):
        """Waits until everything handed over is acknowledged; returns the ledger."""
        end = time.monotonic() + timeout
        with self.changed:
            while self.pending:
                left = end - time.monotonic()
                assert left > 0, f"{len(self.pending)} publishes were never acknowledged by the MQTT broker"
                self.changed.wait(left)
            return list(self.acked)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Listener:
    """Subscribes and keeps what comes: (topic, payload bytes, retained)."""

    def __init__(self, port, *topics, client_id="listener"):
        self.heard = []
        self.changed = threading.Condition()
        self.subscribed = threading.Event()
        self.client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5)
        self.client.on_message = self._heard
        self.client.on_subscribe = lambda *args: self.subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe([(topic, mqtt.SubscribeOptions(qos=1)) for topic in topics])
        self.client.loop_start()
        assert self.subscribed.wait(30), "the MQTT broker did not answer a subscription"

    def _heard(self, client, data, message):
        with self.changed:
            self.heard.append((message.topic, message.payload, message.retain))
            self.changed.notify_all()

    def wait(self, wanted, what, timeout=60):
        """The first (topic, payload) for which wanted(topic, payload as JSON) holds, now or later."""
        end = time.monotonic() + timeout
        at = 0
        with self.changed:
            while True:
                while at < len(self.heard):
                    topic, payload, _ = self.heard[at]
                    at += 1
                    value = json.loads(payload)
                    if wanted(topic, value):
                        return topic, value
                left = end - time.monotonic()
                assert left > 0, f"not heard: {what}"
                self.changed.wait(left)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
