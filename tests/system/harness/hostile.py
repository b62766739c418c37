"""Somebody who has a key, speaks ZeroMQ and does not keep to the protocol."""
import base64
import ctypes
import ctypes.util
import json
import threading
import time

import zmq
from zmq.utils import z85

sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
SECRET_PREFIX = "riverbus-secret-ed25519:"


def unpad(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def transport_public(key):
    """The CURVE key of a public key's text, as Z85."""
    out = ctypes.create_string_buffer(32)
    assert sodium.crypto_sign_ed25519_pk_to_curve25519(out, unpad(key.split(":")[1])) == 0
    return z85.encode(out.raw)


def transport_pair(path):
    """(public, secret) of the CURVE key of a secret key file."""
    with open(path, encoding="ascii") as file:
        seed = unpad(file.read().strip().removeprefix(SECRET_PREFIX))
    public, secret, curve = (ctypes.create_string_buffer(size) for size in (32, 64, 32))
    assert sodium.crypto_sign_seed_keypair(public, secret, seed) == 0
    assert sodium.crypto_sign_ed25519_sk_to_curve25519(curve, secret) == 0
    curve_public = ctypes.create_string_buffer(32)
    assert sodium.crypto_sign_ed25519_pk_to_curve25519(curve_public, public) == 0
    return z85.encode(curve_public.raw), z85.encode(curve.raw)


class Hostile:
    def __init__(self, port, server_key, key_path):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 2000)
        self.socket.curve_serverkey = transport_public(server_key)
        self.socket.curve_publickey, self.socket.curve_secretkey = transport_pair(key_path)
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def close(self):
        self.socket.close()
        self.context.term()


class Speaker(Hostile):
    """Speaks the operators' protocol (common/link/request.h) with somebody's key, and may say in it what the command line never would."""

    def __init__(self, port, server_key, key_path):
        super().__init__(port, server_key, key_path)
        self.requests = 0
        self.send(b"\x80" + _varint(1) + _varint(time.time_ns() // 1000 << 1) + _sized(b"test"))
        assert self._next()[:1] == b"\x81", "no WELCOME"

    def _next(self):
        assert self.socket.poll(30000), "the node does not answer"
        return self.socket.recv()

    def _ask(self, kind, body):
        """All replies to one message, up to the last."""
        self.requests += 1
        self.send(bytes([kind]) + _varint(self.requests) + _varint(1 << 20) + _sized(body))
        replies = []
        while True:
            frame = self._next()
            head = b"\x86" + _varint(self.requests)
            if not frame.startswith(head):
                continue
            last, rest = frame[len(head)], frame[len(head) + 1:]
            replies.append(json.loads(rest[rest.index(b"{"):]))
            if last:
                return replies

    def request(self, verb, **body):
        return self._ask(132, json.dumps({"verb": verb, **body}).encode())

    def command(self, signed):
        return self._ask(133, signed)


def _varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def _sized(text):
    return _varint(len(text)) + text


def welcome(version=1, clock=0):
    """The operators' WELCOME (common/link/request.h)."""
    return b"\x81" + _varint(version) + _varint(clock << 1) + _sized(b"chongqing") + _sized(b"duty")


def reply(number, last, body):
    return b"\x86" + _varint(number) + bytes([last]) + _sized(body)


class Pretender:
    """Somebody who holds a broker's key and answers operators with whatever `answer(frame)` gives: a list of frames for each that comes."""

    def __init__(self, port, key_path, answer):
        self.context, self.answer, self.ending = zmq.Context(), answer, False
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.curve_server = True
        self.socket.curve_publickey, self.socket.curve_secretkey = transport_pair(key_path)
        self.socket.bind(f"tcp://127.0.0.1:{port}")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending:
            if self.socket.poll(50):
                who, frame = self.socket.recv_multipart()
                for answer in self.answer(frame):
                    self.socket.send_multipart([who, answer])

    def close(self):
        self.ending = True
        self.thread.join()
        self.socket.close()
        self.context.term()
