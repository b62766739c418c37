"""A neighbouring province without a broker: speaks the link protocol (harness/wire.py) with a key that the other side has, and says in it what no broker would.

    crowd = Crowd()
    peer = crowd.neighbour("anhui", t.path("anhui.key"), province.port, province.key)
    peer.wait(lambda: peer.up, "the session")

It connects; it answers pings, greets, acknowledges what comes and tells its half, unless told otherwise. All neighbours of a crowd live in one thread.
"""
import random
import threading
import time

import zmq

from . import wire
from .hostile import transport_pair, transport_public
from .wire import epoch_bytes, ranges_bytes, sized, u64, varint, zigzag

SCOPE = 77
PING_S = 0.2
ON_THE_WAY = 16


class Neighbour:
    def __init__(self, crowd, name, key_path, port, server_key, half="", held=(), host="127.0.0.1", small=False):
        """half: lines of its half of the agreement, None: it tells none; held: bodies of its HELD; small: has next to no room for what it does not read."""
        self.crowd, self.name, self.half, self.held = crowd, name, half, list(held)
        self.port, self.peer, self.host, self.small = port, None, host, small
        self.keys = (transport_public(server_key), *transport_pair(key_path))
        self.reads = self.answers = True
        self.frames = []        # (time, channel, frame), all that came
        self.refused = []       # reasons of REFUSED
        self.version, self.told = 0, None
        self.scopes, self.halves = [], []
        self.sockets, self.restarts = [], 0
        self.connect()

    # -- within the crowd's thread, or before it knows us ------------------------------------------------------------------

    def connect(self):
        self.greeted = False
        self.up, self.session, self.numbers = False, random.SystemRandom().getrandbits(64) | 1, {0: 0, 1: 0}
        self.acked = {0: 0, 1: 0}
        self.run = random.SystemRandom().getrandbits(63)
        for channel in (0, 1):
            socket = self.crowd.context.socket(zmq.DEALER)
            socket.setsockopt(zmq.LINGER, 0)
            if self.small:
                socket.setsockopt(zmq.RCVHWM, 1)
                socket.setsockopt(zmq.RCVBUF, 4096)
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = self.keys
            socket.connect(f"tcp://{self.host}:{self.port + channel}")
            self.sockets.append(socket)
        self._put(0, wire.HELLO, varint(2) + varint(2) + u64(self.run) + u64(0) + zigzag(time.time_ns() // 1000) + sized(self.name) + varint(1) + u64(SCOPE) + u64(0))

    def close(self):
        for socket in self.sockets:
            socket.close()
        self.sockets = []

    def _put(self, channel, kind, body):
        self.sockets[channel].send(bytes([kind]) + u64(self.session) + body)

    def take(self, channel, frame):
        reader = wire.Reader(frame)
        kind, session = reader.u8(), reader.u64()
        self.frames.append((time.time(), channel, frame))
        if kind == wire.RESET:
            self.up = False
        if session == self.session and self.answers:
            handler = getattr(self, f"_on_{kind}", None)
            if handler:
                handler(reader, channel)

    def _on_1(self, reader, channel):       # HELLO: the answer
        reader.varint(), reader.varint(), reader.u64(), reader.u64(), reader.zigzag(), reader.sized()
        self._scopes(reader)
        for number, body in enumerate(self.held, 1):
            self._put(0, wire.HELD, body + varint(number) + u64(self.scopes[0] if self.scopes else 0))
        self._put(0, wire.HELD_END, varint(len(self.held)))
        self._put(1, wire.ATTACH, varint(0))

    def _scopes(self, reader):
        self.scopes = []
        for _ in range(reader.varint()):
            self.scopes.append(reader.u64())
            reader.u64()

    def _on_3(self, reader, channel):       # HELD_END
        self.greeted = True

    def _tell_half(self):
        if self.half != self.told:
            self.version, self.told = time.time_ns(), self.half
        self._put(1, wire.PAYLOAD, bytes([wire.HALF]) + varint(self.version) + f"riverbus-agreement\t1\t{self.name}\t{self.peer}\n{self.half}".encode())

    def _ack(self, reader, channel):
        number = reader.varint()
        self._put(0, wire.ACK, bytes([channel]) + varint(number) + varint(0))

    _on_5 = _on_6 = _on_7 = _ack

    def _on_8(self, reader, channel):       # ACK
        of, first = reader.u8(), reader.varint()
        self.acked[of] = max(self.acked[of], first + reader.varint())

    def _on_9(self, reader, channel):       # REFUSED
        of, number, _ = reader.u8(), reader.varint(), reader.u8()
        self.refused.append(reader.sized().decode())
        self.acked[of] = max(self.acked[of], number)

    def _on_11(self, reader, channel):      # PING
        self._put(0, wire.PONG, reader.take(reader.left()) + zigzag(time.time_ns() // 1000))
        if self.greeted and not self.up:    # the first one says that the session stands there; a half that came before would begin it anew
            self.up = True
            if self.half is not None:
                self._tell_half()

    def _on_13(self, reader, channel):      # PAYLOAD
        kind = reader.u8()
        if kind == wire.HALF:
            version = reader.varint()
            self.halves.append(reader.take(reader.left()).decode())
            self._put(0, wire.PAYLOAD, bytes([wire.HALF_TAKEN]) + varint(version))
        elif kind == 16:                    # a piece of the snapshot
            self._put(0, wire.PAYLOAD, bytes([17]))

    def _on_16(self, reader, channel):      # RULES
        self._scopes(reader)
        self._put(0, wire.HELD_END, varint(0))

    # -- from the test -----------------------------------------------------------------------------------------------------

    def say(self, channel, kind, body):
        """Any message of the session."""
        self.crowd.do(lambda: self._put(channel, kind, body))

    def say_numbered(self, channel, kind, body):
        """BLOCK, CLAIM, DISCARD: body is what follows the number. Few are on their way at a time: what answers a flood may be lost at a full socket."""
        self.wait(lambda: self.numbers[channel] - self.acked[channel] < ON_THE_WAY, "answers")
        self.numbers[channel] += 1
        self.say(channel, kind, varint(self.numbers[channel]) + body)

    def block(self, data, lane=wire.LIVE, scope=SCOPE, covers=(0, 0), channel=1):
        self.say_numbered(channel, wire.BLOCK, bytes([lane]) + u64(scope) + varint(covers[0]) + varint(covers[1] - covers[0]) + data)

    def range(self, kind, stream, epoch, low, high, scope=SCOPE, by=None, reason=b"", channel=1):
        tail = zigzag(1) + sized(by or self.name) + sized(reason) if kind == wire.DISCARD else b""
        self.say_numbered(channel, kind, u64(scope) + sized(stream) + epoch_bytes(epoch) + varint(low) + varint(high - low) + tail)

    def want(self, stream, epoch, *ranges):
        self.say(0, wire.WANT, sized(stream) + epoch_bytes(epoch) + ranges_bytes(ranges))

    def tell_half(self, lines, head=None):
        text = (head if head is not None else f"riverbus-agreement\t1\t{self.name}\t{self.peer}\n".encode()) + lines
        self.say(1, wire.PAYLOAD, bytes([wire.HALF]) + varint(time.time_ns()) + text)

    def reconnect(self, half="", held=()):
        def again():
            self.close()
            self.half, self.held, self.restarts = half, list(held), self.restarts + 1
            self.connect()
            self.crowd.changed = True
        self.crowd.do(again)

    def wait(self, condition, what, timeout=30):
        self.crowd.wait(condition, f"{what} at {self.name}", timeout)

    def settle(self):
        """All that was said has been answered: taken or refused."""
        self.wait(lambda: self.acked == self.numbers, f"answers to {self.numbers}; there are {self.acked}, refused {self.refused[-3:]}")

    def blocks(self):
        return [wire.Block(block_of(frame)) for _, _, frame in list(self.frames) if frame[0] == wire.BLOCK]

    def records(self):
        """(kind, address, sequence, value, stream) of all that came."""
        return [(*record, block.stream) for block in self.blocks() for record in block.records]


def block_of(frame):
    reader = wire.Reader(frame)
    reader.take(9), reader.varint(), reader.u8(), reader.u64(), reader.varint(), reader.varint()
    return reader.take(reader.left())


def held_body(stream, epoch, last, ranges, runs=()):
    """A HELD up to its number."""
    return sized(stream) + epoch_bytes(epoch) + varint(last) + ranges_bytes(ranges) + varint(len(runs)) + b"".join(u64(run) + varint(first) for run, first in runs)


class Crowd:
    def __init__(self):
        self.context, self.neighbours, self.wishes, self.ending, self.changed = zmq.Context(), [], [], False, True
        self.news, self.broken, self.pings_at = threading.Condition(), None, 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def neighbour(self, name, key_path, port, server_key, of, **options):
        """of: the province to which it speaks."""
        made = []

        def make():
            neighbour = Neighbour(self, name, key_path, port, server_key, **options)
            neighbour.peer = of
            self.neighbours.append(neighbour)
            self.changed = True
            made.append(neighbour)
        self.do(make)
        self.wait(lambda: made, f"the neighbour {name}", 10)
        return made[0]

    def do(self, wish):
        with self.news:
            self.wishes.append(wish)

    def wait(self, condition, what, timeout=30):
        """Asked whenever something came; not under our lock, since a look may take long."""
        end = time.monotonic() + timeout
        while not condition():
            assert not self.broken and time.monotonic() < end, f"not seen: {what}; {self.broken}"
            with self.news:
                self.news.wait(0.1)

    def _run(self):
        try:
            self._turn()
        except Exception as problem:        # whoever waits hears of it
            self.broken = problem
            raise

    def _turn(self):
        poller = zmq.Poller()
        while not self.ending:
            with self.news:
                wishes, self.wishes = self.wishes, []
            for wish in wishes:
                wish()
            if self.changed:
                poller, self.changed = zmq.Poller(), False
                for neighbour in self.neighbours:
                    for socket in neighbour.sockets:
                        if neighbour.reads:
                            poller.register(socket, zmq.POLLIN)
            self._ping_for_the_mute()
            for socket, _ in poller.poll(2):
                self._take(socket)
            with self.news:
                self.news.notify_all()

    def _take(self, socket):
        for neighbour in self.neighbours:
            if socket in neighbour.sockets:
                neighbour.take(neighbour.sockets.index(socket), socket.recv())
                return

    def mute(self, neighbour):
        """From now on it reads nothing, but its pings go on, so that its session lives."""
        def stop():
            neighbour.reads, self.changed = False, True
        self.do(stop)

    def _ping_for_the_mute(self):
        if time.monotonic() < self.pings_at:
            return
        self.pings_at = time.monotonic() + PING_S
        for neighbour in self.neighbours:
            if not neighbour.reads and neighbour.sockets[0].poll(0, zmq.POLLOUT):
                neighbour._put(0, wire.PING, u64(1) + zigzag(time.time_ns() // 1000))

    def close(self):
        self.ending = True
        self.thread.join()
        for neighbour in self.neighbours:
            neighbour.close()
        self.context.term()
