"""Free loopback ports that no other run on this machine picks: a block of ports is held by an abstract socket until the process ends.

The blocks lie below the kernel's range for outgoing connections, so that none of those can take a port between choice and bind.
"""
import os
import socket

FIRST, LAST, BLOCK = 18000, 32000, 20


def _bindable(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Ports:
    def __init__(self):
        self.held = []
        self.free = []

    def _claim(self):
        blocks = (LAST - FIRST) // BLOCK
        start = os.getpid() % blocks
        for n in range(blocks):
            base = FIRST + (start + n) % blocks * BLOCK
            lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                lock.bind(f"\0riverbus-onebox-{base}")
            except OSError:
                lock.close()
                continue
            if all(_bindable(port) for port in range(base, base + BLOCK)):
                self.held.append(lock)
                self.free = list(range(base, base + BLOCK))
                return
            lock.close()
        raise RuntimeError("no free block of loopback ports")

    def take(self, count=1):
        """The first of `count` neighbouring ports."""
        if len(self.free) < count:
            self._claim()
        taken, self.free = self.free[:count], self.free[count:]
        return taken[0]
