"""The programs that make up a river, each as a Process with what belongs to it: its configuration, its ready line, its door."""
import json
import os
import shutil
import subprocess
import sys

from .process import NotSeen, PATIENCE_S, Process

DEPLOY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Build:
    """Where the built programs lie."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.broker = os.path.join(self.folder, "broker", "riverbus-broker")
        self.gateway = os.path.join(self.folder, "gateway", "riverbus-gateway")
        self.riverbus = os.path.join(self.folder, "broker", "operator", "riverbus")

    def missing(self):
        return [path for path in (self.broker, self.gateway, self.riverbus) if not os.access(path, os.X_OK)]

    def new_key(self, folder, name):
        """Makes NAME.key and NAME.pub in the folder; returns the public key's text."""
        made = subprocess.run([self.riverbus, "keys", "new", name, "--dir", folder], capture_output=True, text=True, timeout=PATIENCE_S)
        words = [word for word in made.stdout.split() if word.startswith("ed25519:")]
        if made.returncode != 0 or not words:
            raise NotSeen(f"riverbus keys new {name} ended with {made.returncode}: {made.stderr.strip()}")
        return words[0]


def mosquitto_program():
    return shutil.which("mosquitto") or "/usr/sbin/mosquitto"


class Mosquitto(Process):
    """A station's MQTT broker."""

    def __init__(self, name, folder, config_text):
        self.config = os.path.join(folder, name.replace("/", "-") + ".conf")
        # As root, mosquitto would become another user: it could not write our folder, and the parent-death signal would be lost.
        user = "user root\n" if os.geteuid() == 0 else ""
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(user + config_text)
        super().__init__(name, [mosquitto_program(), "-c", self.config], folder)

    def ready(self):
        self.wait_line(r"mosquitto version \S+ running")
        return self


class Daemon(Process):
    """riverbus-broker or riverbus-gateway."""

    def __init__(self, name, program, config, folder, env=None):
        self.program, self.config = program, config
        super().__init__(name, [program, "--config", config], folder, env)

    def check(self):
        """What --check says: (exit status, standard error)."""
        done = subprocess.run([self.program, "--check", "--config", self.config], capture_output=True, text=True, timeout=PATIENCE_S)
        return done.returncode, done.stderr

    def ready(self, since=0):
        self.wait_line(r"(^|[^-\w])ready\b", since=since)
        return self

    def start_ready(self):
        mark = self.mark()
        self.start()
        return self.ready(mark)


class Simulator(Process):
    """The devices of one station."""

    def __init__(self, name, station, port, folder, *options):
        self.ledger_path = os.path.join(folder, name.replace("/", "-") + ".ledger")
        argv = [sys.executable, os.path.join(DEPLOY, "simulator"), station, "--port", port, "--ledger", self.ledger_path]
        super().__init__(name, [*argv, *options], folder, {"PYTHONDONTWRITEBYTECODE": "1"})

    def ready(self, since=0):
        self.wait_line(r"^ready", lines=self.out, since=since)
        return self

    def ledger(self, *events):
        """The device's own account, only these events where some are named."""
        with open(self.ledger_path, encoding="utf-8") as file:
            entries = [json.loads(line) for line in file]
        return [entry for entry in entries if not events or entry["event"] in events]


class Answer:
    """How one run of `riverbus` ended: exit (its code), out, err (texts), rows (JSON objects of --json)."""

    def __init__(self, argv, done):
        self.argv, self.exit, self.out, self.err = argv, done.returncode, done.stdout, done.stderr

    @property
    def rows(self):
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def __str__(self):
        return f"$ {' '.join(self.argv)}\n{self.out}{self.err}[exit {self.exit}]"


class Operator:
    """Somebody who works with the command line: a configuration file and the verbs."""

    def __init__(self, name, build, config, folder):
        self.name, self.build, self.config, self.folder = name, build, config, folder
        self.tails = 0

    def argv(self, *words):
        return [self.build.riverbus, "--config", self.config, *map(str, words)]

    def run(self, *words, timeout=None):
        argv = self.argv(*words)
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout or 2 * PATIENCE_S)
        return Answer(argv, done)

    def tail(self, *words):
        """A running `tail --json`; read it with records() and wait_records()."""
        self.tails += 1
        return Tail(f"tail-{self.name}-{self.tails}", self.argv("tail", "--json", *words), self.folder).start()


class Tail(Process):
    """Follows records; each line of standard output is one JSON object."""

    def records(self):
        with self.changed:
            return [json.loads(line) for line in self.out if line]

    def wait_record(self, wanted, what, timeout=None, since=0):
        """The first record for which wanted(record) holds."""
        seen = since

        def look():
            nonlocal seen
            while seen < len(self.out):
                record = json.loads(self.out[seen])
                seen += 1
                if wanted(record):
                    return record
            return None

        found = self.wait_for(look, timeout)
        if not found:
            raise NotSeen(f"not seen in {self.name} among {len(self.out)} records: {what}\n{self.tail()}")
        return found

    def wait_count(self, count, timeout=None, wanted=None):
        """Waits until so many records (for which wanted holds) are there, and returns them."""
        seen, hits = 0, []

        def look():
            nonlocal seen
            while seen < len(self.out):
                record = json.loads(self.out[seen])
                seen += 1
                if wanted is None or wanted(record):
                    hits.append(record)
            return len(hits) >= count

        if not self.wait_for(look, timeout):
            raise NotSeen(f"not seen in {self.name}: {count} records, only {len(hits)}\n{self.tail()}")
        return hits
