"""The same work by others: a producer at the edge, store and forward to a second node, a consumer there, each message once. On loopback, in folders and on
ports of our own; what each acknowledgement means stands beside the figure. None of them encrypts here, riverbus does."""
import json
import os
import shutil

from onebox.process import Process, wait_until
from onebox.programs import Mosquitto, mosquitto_program

from .river import MOSQUITTO, RUN_PATIENCE_S, River, Wrong, begin

START_PATIENCE_S = 90
RABBIT_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"      # Debian's /usr/sbin/rabbitmq-server would become another user
MEANS = {"nats": "ack: in the page cache", "rabbit": "ack: fsynced", "bridge": "ack: in memory"}


def client(bench, name):
    path = os.path.join(bench.build.folder, "tests", "bench", "bench_client_" + name)
    return path if os.access(path, os.X_OK) else None


def missing(bench, peer):
    """What a peer's measure lacks on this machine; None: nothing."""
    if peer == "bridge":
        return None if os.access(mosquitto_program(), os.X_OK) else "mosquitto"
    programs = {"nats": shutil.which("nats-server"), "rabbit": os.access(RABBIT_SERVER, os.X_OK) and shutil.which("epmd")}
    if not programs[peer]:
        return "the server"
    return None if client(bench, peer) else "its client (built where the library is installed)"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def run_pair(bench, consumer, producer):
    """Readings/s from the word to begin until the consumer has each once."""
    consumer.wait_line("^ready$", START_PATIENCE_S, lines=consumer.out)
    producer.wait_line("^ready$", START_PATIENCE_S, lines=producer.out)
    began = begin(producer)
    consumer.wait_line("^done$", RUN_PATIENCE_S, lines=consumer.out)
    rate = bench.peer_count / (bench.clock() - began)
    producer.wait_line("^published$", RUN_PATIENCE_S, lines=producer.out)
    return rate


# ---- NATS: leaf node -> hub, JetStream with file storage on both ----


def nats_server(river, name, text):
    config = write(river.path(name + ".conf"), text)
    server = river.add(Process("nats-" + name, ["nats-server", "-c", config], river.folder)).start()
    server.wait_line("Server is ready")
    return server


def nats(bench):
    river = River(bench)
    try:
        edge, hub, leaf = (river.ports.take() for _ in range(3))
        store = f"host: 127.0.0.1\njetstream {{store_dir: \"{river.folder}/%s\", domain: %s, max_mem: 64M, max_file: 4G}}\n"
        nats_server(river, "hub", f"port: {hub}\nserver_name: hub\n" + store % ("hub", "hub") + f"leafnodes {{host: 127.0.0.1, port: {leaf}}}\n")
        server = nats_server(river, "edge", f"port: {edge}\nserver_name: edge\n" + store % ("edge", "edge")
                             + f"leafnodes {{remotes: [{{url: \"nats-leaf://127.0.0.1:{leaf}\"}}]}}\n")
        server.wait_line("Leafnode connection created")
        argv = [client(bench, "nats"), "%s", "--port", "%d", "--count", bench.peer_count]
        producer = river.add(Process("nats-producer", [argv[0], "edge", "--port", edge, *argv[4:]], river.folder)).start(stdin=-1)
        producer.wait_line("^ready$", START_PATIENCE_S, lines=producer.out)     # the stream that the hub takes from is there
        consumer = river.add(Process("nats-consumer", [argv[0], "hub", "--port", hub, *argv[4:]], river.folder)).start()
        return run_pair(bench, consumer, producer)
    finally:
        river.discard(bench)


# ---- RabbitMQ: quorum queue -> shovel -> quorum queue on a second node ----


def rabbit_node(river, name, port, shovel_to=None):
    """A node of its own, not a cluster: definitions make its queue and its shovel."""
    definitions = {"users": [{"name": "guest", "password": "guest", "tags": "administrator"}], "vhosts": [{"name": "/"}],
                   "permissions": [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
                   "queues": [{"name": name, "vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "quorum"}}]}
    if shovel_to:
        definitions["parameters"] = [{"component": "shovel", "vhost": "/", "name": "up", "value": {
            "src-protocol": "amqp091", "src-uri": f"amqp://guest:guest@127.0.0.1:{port}", "src-queue": name, "src-prefetch-count": 2000,
            "dest-protocol": "amqp091", "dest-uri": f"amqp://guest:guest@127.0.0.1:{shovel_to}", "dest-queue": "hub", "ack-mode": "on-confirm"}}]
    folder = river.path("rabbit-" + name)
    os.mkdir(folder)
    config = (f"listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {write(os.path.join(folder, 'definitions.json'), json.dumps(definitions))}\n"
              "log.console = true\nlog.console.level = info\nlog.file = false\n")
    env = {"RABBITMQ_NODENAME": f"{name}-{port}@localhost", "RABBITMQ_CONFIG_FILE": write(os.path.join(folder, "rabbitmq.conf"), config), "HOME": folder,
           "RABBITMQ_MNESIA_BASE": os.path.join(folder, "mnesia"), "RABBITMQ_LOG_BASE": folder, "RABBITMQ_GENERATED_CONFIG_DIR": folder,
           "RABBITMQ_ENABLED_PLUGINS_FILE": write(os.path.join(folder, "enabled_plugins"), "[rabbitmq_shovel].\n"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
           "RABBITMQ_DIST_PORT": str(river.ports.take()), "ERL_EPMD_PORT": str(river.epmd), "RUNNING_UNDER_SYSTEMD": "true",     # no shell beside the node
           "RABBITMQ_PID_FILE": os.path.join(folder, "pid"), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"}
    node = river.add(Process("rabbit-" + name, [RABBIT_SERVER], river.folder, env)).start()
    wait_until(lambda: any("Server startup complete" in line for line in node.out + node.err) or not node.alive(), f"the start of {node.name}", START_PATIENCE_S)
    if not node.alive():
        raise Wrong(node.tail())
    return node


def rabbit(bench):
    river = River(bench)
    try:
        river.epmd, edge, hub = (river.ports.take() for _ in range(3))
        river.add(Process("epmd", ["epmd", "-port", river.epmd, "-address", "127.0.0.1"], river.folder)).start()
        rabbit_node(river, "hub", hub)
        rabbit_node(river, "edge", edge, hub)
        program, count = client(bench, "rabbit"), ["--count", bench.peer_count]
        consumer = river.add(Process("rabbit-consumer", [program, "consume", "--port", hub, *count], river.folder)).start()
        producer = river.add(Process("rabbit-producer", [program, "publish", "--port", edge, *count], river.folder)).start(stdin=-1)
        return run_pair(bench, consumer, producer)
    finally:
        river.discard(bench)


# ---- mosquitto: bridge with QoS 1 and persistence ----


def bridge(bench):
    river = River(bench)
    try:
        hub, edge = river.mosquitto(), river.ports.take()
        text = MOSQUITTO.format(port=edge, folder=river.folder) + (
            f"persistence_file edge.db\nconnection hub\naddress 127.0.0.1:{hub.port}\ntopic river/# out 1\ncleansession false\nbridge_protocol_version mqttv50\n")
        station = river.add(Mosquitto("mosquitto-edge", river.folder, text)).start().ready()
        hub.wait_line("New client connected from .* as .*")
        listener = river.program("listener", "--port", hub.port, "--count", bench.peer_count)
        gauge = river.program("gauge", "--port", edge, "--count", bench.peer_count)
        began = begin(gauge)
        listener.wait_line("^done$", RUN_PATIENCE_S, lines=listener.out)
        assert station.alive()
        return bench.peer_count / (bench.clock() - began)
    finally:
        river.discard(bench)


MEASURES = {"nats": nats, "rabbit": rabbit, "bridge": bridge}
