"""The sample configurations (deploy/samples) made ready for this machine: fresh keys, own paths, loopback ports, a small store."""
import os
import re

from .programs import DEPLOY

SAMPLES = os.path.join(DEPLOY, "samples")
SMALL_STORE = "128MiB"


def sample_keys():
    """{name: the public key that stands in the samples}"""
    with open(os.path.join(SAMPLES, "keys.txt"), encoding="utf-8") as file:
        return dict(line.split() for line in file if line.strip() and not line.startswith("#"))


class Samples:
    def __init__(self, folder, build):
        """Makes a fresh key in `folder` for every name that the samples know."""
        self.folder = folder
        self.fresh = {old: build.new_key(folder, name) for name, old in sample_keys().items()}

    def write(self, name, changes=None):
        """Writes the sample into the folder and returns its path. changes: {text: other text}, applied to each place where it stands."""
        with open(os.path.join(SAMPLES, name), encoding="utf-8") as file:
            text = file.read()
        store = os.path.join(self.folder, "store-" + os.path.splitext(name)[0])
        text = re.sub(r"/var/lib/riverbus/\w+", store, text)
        text = re.sub(r"max-size: \w+", f"max-size: {SMALL_STORE}", text)
        if name.startswith("gateway-"):     # all clocks are one here, and a container's kernel may not be synchronised
            text = re.sub(r"^local: \S+", "local: tcp://127.0.0.1:0", text, flags=re.MULTILINE)
            text = re.sub(r"^mqtt:", "clock: {require-synchronised: false}\nmqtt:", text, flags=re.MULTILINE)
        for old, new in {**self.fresh, "/etc/riverbus/": self.folder + "/", **(changes or {})}.items():
            text = text.replace(old, new)
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
