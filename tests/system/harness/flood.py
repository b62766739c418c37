"""Publishes prepared messages with QoS 1 as fast as asked, with one socket and no library: paho in Python gives half of 20,000 a second."""
import socket
import struct
import threading
import time


def _text(value):
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def _length(size):
    out = b""
    while True:
        size, low = divmod(size, 128)
        out += bytes([low | (0x80 if size else 0)])
        if not size:
            return out


def _packet(kind, body):
    return bytes([kind]) + _length(len(body)) + body


class Flood:
    WINDOW = 2000       # messages without a PUBACK; the MQTT broker is asked for no more than it can hold

    def __init__(self, port, client_id="flood"):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(_packet(0x10, _text("MQTT") + bytes([4, 2]) + struct.pack(">H", 0) + _text(client_id)))
        assert self.socket.recv(4, socket.MSG_WAITALL) == b"\x20\x02\x00\x00", "the MQTT broker refused the connection"
        self.sent = self.acked = 0
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        left = b""
        while data := self.socket.recv(65536):
            left += data                    # nothing but PUBACKs of four bytes come here
            with self.changed:
                self.acked += len(left) // 4
                self.changed.notify_all()
            left = left[len(left) // 4 * 4:]

    def publish(self, messages, rate):
        """Sends (topic, payload text) at `rate` a second, a hundredth of a second at a time; returns the rate that was reached, until the last PUBACK."""
        began, step = time.monotonic(), max(1, rate // 100)
        for at in range(0, len(messages), step):
            part = messages[at:at + step]
            self._wait(lambda: self.sent + len(part) - self.acked <= self.WINDOW)
            self.socket.sendall(b"".join(self._publish(topic, payload) for topic, payload in part))
            with self.changed:              # the pace of the load, not a wait for the system
                self.changed.wait_for(lambda: False, max(0.0, began + (at + step) / rate - time.monotonic()))
        self._wait(lambda: self.acked == self.sent)
        return len(messages) / (time.monotonic() - began)

    def _publish(self, topic, payload):
        self.sent += 1
        return _packet(0x32, _text(topic) + struct.pack(">H", self.sent % 65535 + 1) + payload.encode())

    def _wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, 60), f"only {self.acked} of {self.sent} publishes were acknowledged"

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
