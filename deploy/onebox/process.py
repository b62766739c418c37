"""One child process: started, watched by its lines, ended by its id.

A child dies with us whatever happens to us (setpriv sets the parent-death signal), stands in a session of its own so that Ctrl-C at a terminal
reaches only the runner, and has both outputs read by a thread each, which wakes whoever waits for a line.
"""
import os
import re
import shutil
import signal
import subprocess
import threading
import time

PATIENCE_S = float(os.environ.get("RIVERBUS_PATIENCE", "60"))
TAIL_LINES = 30


class NotSeen(AssertionError):
    """What was waited for did not come; the text ends with the last log lines of the process concerned."""


def wait_until(condition, what, timeout=None, every=0.05):
    """Asks condition() until it is true and returns what it gave; for what has no line to wait for."""
    end = time.monotonic() + (timeout or PATIENCE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise NotSeen(f"not seen: {what}")
        time.sleep(every)


class Process:
    def __init__(self, name, argv, folder, env=None):
        """folder: NAME.log there gets standard error and, marked by '| ', standard output."""
        self.name, self.argv = name, [str(word) for word in argv]
        self.env = {**os.environ, **(env or {})}
        self.log_path = os.path.join(folder, name.replace("/", "-") + ".log")
        self.child = None
        self.out, self.err = [], []
        self.changed = threading.Condition()
        self.readers = []

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self, stdin=subprocess.DEVNULL):
        assert not self.alive(), f"{self.name} runs already"
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self.child = subprocess.Popen(guard + self.argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=self.env, start_new_session=True)
        self.readers = [threading.Thread(target=self._read, args=args, daemon=True)
                        for args in ((self.child.stdout, self.out, b"| "), (self.child.stderr, self.err, b""))]
        for reader in self.readers:
            reader.start()
        return self

    def _read(self, pipe, lines, mark):
        with open(self.log_path, "ab", buffering=0) as log:
            for raw in pipe:
                log.write(mark + raw)
                if lines is self.out and not raw.endswith(b"\n"):
                    break       # the torn line of a process that was killed while it wrote
                with self.changed:
                    lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def alive(self):
        return self.child is not None and self.child.poll() is None

    @property
    def pid(self):
        return self.child.pid

    def wait(self, timeout=None):
        """The exit status, once it has ended and its last line is read."""
        try:
            status = self.child.wait(timeout or PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise NotSeen(f"not seen: the end of {self.name}\n{self.tail()}") from None
        for reader in self.readers:
            reader.join(PATIENCE_S)
        return status

    def signal(self, number):
        if self.alive():
            self.child.send_signal(number)

    def kill(self):
        """SIGKILL, as a power cut of this process would."""
        self.signal(signal.SIGKILL)
        return self.wait() if self.child else None

    def stop(self, timeout=20):
        """SIGTERM and the clean end; SIGKILL where that does not come. Returns the exit status, None where it never ran."""
        if not self.child:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except NotSeen:
            self.kill()
            raise

    # -- lines --------------------------------------------------------------------------------------------------------

    def mark(self):
        """A point in the log: only what comes later counts for wait_line(..., since=mark)."""
        with self.changed:
            return len(self.err)

    def wait_line(self, pattern, timeout=None, since=0, lines=None):
        """Waits until a line of standard error (or of `lines`) matches the regular expression; returns the match."""
        wanted, lines = re.compile(pattern), self.err if lines is None else lines
        found = self.wait_for(lambda: next((m for m in map(wanted.search, lines[since:]) if m), None), timeout)
        if not found:
            raise NotSeen(f"not seen in the log of {self.name}: {pattern}\n{self.tail()}")
        return found

    def wait_for(self, condition, timeout=None):
        """Waits for condition() to be true, asked at every line; what it gave, or None in the end."""
        end = time.monotonic() + (timeout or PATIENCE_S)
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = end - time.monotonic()
                over = not self.alive() and not any(reader.is_alive() for reader in self.readers)
                if left <= 0 or over:
                    return None
                self.changed.wait(min(left, 0.5))

    def tail(self, count=TAIL_LINES):
        """The last lines of the log, with a head that says whose."""
        status = "running" if self.alive() else f"ended with {self.child.returncode}" if self.child else "never started"
        lines = list(self.err[-count:]) or list(self.out[-count:])
        return f"--- {self.name} ({status}), last {len(lines)} lines of {self.log_path}\n" + "\n".join(lines)
