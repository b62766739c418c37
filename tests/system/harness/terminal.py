"""Pseudo terminals, where the machine has them: a bare chroot without /dev/pts has none."""
import pty

import pytest


def fork_terminal():
    """pty.fork(), or a loud skip."""
    try:
        return pty.fork()
    except OSError as why:
        pytest.skip(f"SKIPPED: this machine gives no pseudo terminal ({why}); what a person sees at one is not tested")
