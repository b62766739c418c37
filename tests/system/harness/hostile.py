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


def _secret(path):
    """(public, secret) as libsodium signs with them, of a secret key file."""
    with open(path, encoding="ascii") as file:
        seed = unpad(file.read().strip().removeprefix(SECRET_PREFIX))
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_seed_keypair(public, secret, seed) == 0
    return public.raw, secret


def integer(number):
    return b"\x02" + _varint(number << 1)


def text(words):
    return b"\x04" + _sized(words.encode())


def sign_command(key_path, command_id, address, value, verb=1, seconds=60, items=(), version=1):
    """The signed bytes of a command (common/command/command.c), of a kind that the command line would not sign. items: (number, critical, bytes)."""
    public, secret = _secret(key_path)
    issued = time.time_ns() // 1000
    body = b"riverbus command v%d\0" % version + public + bytes([verb]) + _sized(command_id.encode()) + _sized(address.encode()) + value
    body += _varint(issued << 1) + _varint(issued + seconds * 1_000_000 << 1) + _sized(b"") + _varint(0) + _varint(len(items))
    for number, critical, content in items:
        body += _varint(number) + bytes([critical]) + _sized(content)
    signature = ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_detached(signature, None, body, ctypes.c_ulonglong(len(body)), secret) == 0
    return body + signature.raw


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

    def hand_in(self, many):
        """Gives signed commands and lets go of each once it is accepted, as `set --no-wait` does. At most 64 are asked about at a time."""
        left = {}
        for signed in many:
            self.requests += 1
            left[self.requests] = b""
            self.send(bytes([133]) + _varint(self.requests) + _varint(1 << 20) + _sized(signed))
        while left:
            frame = self._next()
            for number in [n for n in left if frame.startswith(b"\x86" + _varint(n))]:
                last = frame[len(_varint(number)) + 1]
                if b'"accepted"' in frame and not last:
                    self.send(b"\x8a" + _varint(number))
                if last:
                    del left[number]


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
