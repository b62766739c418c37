"""A small TCP relay on loopback: it notes what passes with times, cuts connections, holds a direction back.

Directions: "up" from whoever connects to the target, "down" back. With mqtt=True each direction is also read as MQTT packets.
"""
import selectors
import socket
import threading
import time

PUBLISH, PUBACK, CONNACK = 3, 4, 2


class MqttPackets:
    """Cuts a byte stream into MQTT packets: feed() gives (type, body) for each that is complete."""

    def __init__(self):
        self.buffer = b""

    def feed(self, data):
        self.buffer += data
        while True:
            packet = self._next()
            if packet is None:
                return
            yield packet

    def _next(self):
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self.buffer):
                return None
            byte = self.buffer[at]
            length |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not byte & 0x80:
                break
        if len(self.buffer) < at + length:
            return None
        packet = (self.buffer[0] >> 4, self.buffer[at:at + length])
        self.buffer = self.buffer[at + length:]
        return packet


class Pair:
    def __init__(self, near, far, mqtt):
        self.ends = {near: ("up", far), far: ("down", near)}
        self.packets = {"up": MqttPackets(), "down": MqttPackets()} if mqtt else None

    def close(self):
        for end in self.ends:
            end.close()


class Relay:
    def __init__(self, port, target, mqtt=False):
        """Listens on 127.0.0.1:port and passes to 127.0.0.1:target. Notes: self.seen, a list of (monotonic s, direction, what) where
        what is an MQTT packet (type, body), or the number of bytes."""
        self.port, self.target, self.mqtt = port, target, mqtt
        self.seen, self.pairs, self.held = [], [], set()
        self.lock = threading.Condition()
        self.selector = selectors.DefaultSelector()
        self.door = socket.create_server(("127.0.0.1", port))
        self.selector.register(self.door, selectors.EVENT_READ)
        self.waker, self.woken = socket.socketpair()
        self.selector.register(self.woken, selectors.EVENT_READ)
        self.refusing = self.ending = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # -- what a test does ---------------------------------------------------------------------------------------------

    def cut(self, refuse=False):
        """Breaks every connection that passes here; refuse: and takes no new one until restore()."""
        with self.lock:
            self.refusing = refuse
            for pair in self.pairs[:]:
                self._drop(pair)

    def restore(self):
        self.refusing = False

    def hold(self, direction):
        """Passes nothing more in that direction (the sender's window fills) until release()."""
        with self.lock:
            self.held.add(direction)
            self._register()

    def release(self, direction):
        with self.lock:
            self.held.discard(direction)
            self._register()
        self.waker.send(b"!")

    def noted(self, direction=None, kind=None):
        with self.lock:
            return [note for note in self.seen
                    if direction in (None, note[1]) and (kind is None or note[2][0] == kind)]

    def wait_noted(self, count, direction, kind=None, timeout=60):
        """Waits until so many notes of that sort are there and returns them."""
        end = time.monotonic() + timeout
        with self.lock:
            while True:
                found = [n for n in self.seen if n[1] == direction and (kind is None or n[2][0] == kind)]
                if len(found) >= count:
                    return found
                left = end - time.monotonic()
                assert left > 0, f"not seen on the wire: {count} {direction} of type {kind}, only {len(found)}"
                self.lock.wait(left)

    def close(self):
        self.ending = True
        self.waker.send(b"!")
        self.thread.join(10)
        self.cut()
        for end in (self.door, self.waker, self.woken):
            end.close()
        self.selector.close()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self):
        while not self.ending:
            for key, _ in self.selector.select():
                if key.fileobj is self.woken:
                    self.woken.recv(100)
                elif key.fileobj is self.door:
                    self._accept()
                else:
                    self._pass(key.fileobj, key.data)

    def _accept(self):
        near, _ = self.door.accept()
        if self.refusing:
            near.close()
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.pairs.append(Pair(near, far, self.mqtt))
            self._register()

    def _register(self):
        for pair in self.pairs:
            for end, (direction, _) in pair.ends.items():
                known = end in self.selector.get_map()
                if direction in self.held and known:
                    self.selector.unregister(end)
                elif direction not in self.held and not known:
                    self.selector.register(end, selectors.EVENT_READ, pair)

    def _pass(self, end, pair):
        with self.lock:
            if pair not in self.pairs:
                return
            direction, other = pair.ends[end]
            try:
                data = end.recv(262144)
                if not data:
                    raise ConnectionError
                self._note(pair, direction, data)
                other.sendall(data)
            except OSError:
                self._drop(pair)

    def _note(self, pair, direction, data):
        now = time.monotonic()
        for what in pair.packets[direction].feed(data) if pair.packets else [len(data)]:
            self.seen.append((now, direction, what))
        self.lock.notify_all()

    def _drop(self, pair):
        for end in pair.ends:
            if end in self.selector.get_map():
                self.selector.unregister(end)
        pair.close()
        self.pairs.remove(pair)
