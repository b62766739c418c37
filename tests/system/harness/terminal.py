"""Pseudo terminals, where the machine has them: a bare chroot without /dev/pts has none."""
import fcntl
import os
import pty
import struct
import termios
import unicodedata

import pytest


def fork_terminal():
    """pty.fork(), or a loud skip."""
    try:
        return pty.fork()
    except OSError as why:
        pytest.skip(f"SKIPPED: this machine gives no pseudo terminal ({why}); what a person sees at one is not tested")


def seen_on_terminal(columns, argv, env):
    """What a program writes on a terminal of that width."""
    pid, terminal = fork_terminal()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execvpe(argv[0], argv, {**os.environ, **env})
    out = b""
    with os.fdopen(terminal, "rb", buffering=0) as file:
        try:
            while data := file.read(65536):
                out += data
        except OSError:     # how a terminal says that the other side is closed
            pass
    os.waitpid(pid, 0)
    return out.decode().replace("\r\n", "\n")


def width(text):
    """Columns on a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
