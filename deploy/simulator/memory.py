"""What a device that remembers keeps over a restart: where it stands, the fence and the answers of the last ids (a small file, replaced whole and synced)."""
import json
import os


class Memory:
    def __init__(self, folder, name):
        self.path = os.path.join(folder, name + ".json")

    def load(self, actuator):
        try:
            with open(self.path, encoding="utf-8") as file:
                kept = json.load(file)
        except FileNotFoundError:
            return
        actuator.stand_at(kept["at"])
        actuator.fence = kept["fence"]
        actuator.last_id = kept["last"]
        actuator.answers.update((answer["id"], answer) for answer in kept["answers"])
        if kept["running"]:
            actuator.answers[kept["running"]] = {"id": kept["running"], "ok": False, "reason": "interrupted", "at": None}

    def save(self, actuator):
        kept = {"at": actuator.at(), "fence": actuator.fence, "last": actuator.last_id, "answers": list(actuator.answers.values()),
                "running": actuator.running["id"] if actuator.running else None}
        fresh = self.path + ".new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)
