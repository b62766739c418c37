"""The device's own account of what it was told and what it did: one JSON object a line, synchronous.

The line is on the disk before the device goes on (O_DSYNC), so that a judge can trust it whatever is killed when.
Fields: t (UTC), event (ready, received, refused, repeated, start, stop, answered, fault), device, and what belongs to the event.
"""
import datetime
import json
import os


def utc_text(seconds):
    stamp = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Ledger:
    def __init__(self, path=None):
        """path None: no ledger is kept."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_DSYNC
        self.fd = os.open(path, flags, 0o644) if path else -1

    def write(self, now, event, device, **fields):
        if self.fd < 0:
            return
        entry = {"t": utc_text(now), "event": event, "device": device, **fields}
        os.write(self.fd, (json.dumps(entry, ensure_ascii=False) + "\n").encode())
