# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of a host with 50 containers and 10 images, against reading the same answers and throwing them away.

A real engine of the bench's own has them, started from an image of BusyBox, in a PID namespace in which no other engine
is. Ours runs as a scan sends it to a host that keeps the code of the last one, in a fresh process of the system's
Python, with all of its checks; alone_s is the module by itself, as ansible-core sends it with everything that it needs.
The peer asks the engine the same questions over the same socket and reads the answers to their end, in one process
with nothing else to import: what no tool can be quicker than. All run at normal priority, in turns. many_s is ours with
MANY containers, which are made and not started but for CONTAINERS of them: each that runs takes two processes more. An
engine is asked about each all the same. peak_mb and many_peak_mb are the largest proportional set sizes (PSS,
proc_pid_smaps(5)) of our processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
import typing as t

from tests.bench import _measure as measure
from tests.support import commands, dockerd, host_scan, paths

CONTAINERS = 50
IMAGES = 10
MANY = 500
ROUNDS = 5
_MODULE = "bulwark.servers.docker_benchmark_info"

# Asks what the module asks, in its order, and reads what comes.
_PEER = """
import json, socket, sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
stream = connection.makefile("rb", 1 << 16)

def get(path):
    connection.sendall(b"GET %s HTTP/1.1\\r\\nHost: docker\\r\\n\\r\\n" % path.encode())
    headers = {}
    stream.readline()
    for line in iter(stream.readline, b"\\r\\n"):
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    if b"content-length" in headers:
        return stream.read(int(headers[b"content-length"]))
    body = b""
    while True:
        length = int(stream.readline(), 16)
        body += stream.read(length)
        stream.readline()
        if not length:
            return body

get("/version")
get("/info")
get("/networks")
for container in json.loads(get("/containers/json?all=1")):
    get("/containers/%s/json" % container["Id"])
for image in json.loads(get("/images/json")):
    get("/images/%s/json" % image["Id"])
    get("/images/%s/history" % image["Id"])
"""


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when what is needed is missing, or ours did not see all of it."""
    if commands.find("dockerd") is None or commands.find("busybox") is None or os.geteuid() != 0:
        raise RuntimeError("this bench needs root, Docker and BusyBox: apt-get install docker.io busybox-static")
    measure.module_loader()
    sys.path.insert(0, str(paths.COLLECTIONS))
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulwark-bench-")))
        engine = stack.enter_context(dockerd.running(directory / "engine", "--log-level=warn", is_apart=True))
        _populate(engine)
        scan = _Scan(directory, engine)
        alone = engine.inside(measure.payload(directory / "alone.py", _MODULE, {"priority": "normal"}))
        peer = engine.inside([measure.python(), "-I", "-S", "-c", _PEER, str(engine.socket)])
        sides = {"ours": scan.run, "peer": lambda: measure.output(peer), "alone": lambda: measure.output(alone)}
        _all_seen(scan.result(), engine, CONTAINERS)
        seconds = _timed(sides)
        peak = scan.peak()
        for number in range(CONTAINERS, MANY):
            engine("create", "--name", f"made-{number}", f"image-{number % IMAGES}:1", "/bin/sleep", "100000")
        _all_seen(scan.result(), engine, MANY)
        many = _timed(sides)
        many_peak = scan.peak()
        return {
            "ours_s": _median(seconds["ours"]),
            "peer_s": _median(seconds["peer"]),
            "ratio": _ratio(seconds["ours"], seconds["peer"]),
            "peak_mb": peak["peak_mb"],
            "alone_s": _median(seconds["alone"]),
            "many_s": _median(many["ours"]),
            "many_peer_s": _median(many["peer"]),
            "many_ratio": _ratio(many["ours"], many["peer"]),
            "many_alone_s": _median(many["alone"]),
            "many_peak_mb": many_peak["peak_mb"],
            "containers": CONTAINERS,
            "many_containers": MANY,
            "images": IMAGES,
            "python": measure.output([measure.python(), "-V"]).strip(),
            "peer": "the same answers, read and thrown away",
        }


def _populate(engine: dockerd.Engine) -> None:
    for number in range(IMAGES):
        content = dockerd.busybox({f"/etc/image-{number}": 0o644, "/usr/bin/su": 0o4755})
        engine("import", "--change", f"ENV NUMBER={number}", "-", f"image-{number}:1", given=content)
    for number in range(CONTAINERS):
        labels = ["--label", f"com.docker.compose.project=shop-{number}", "--env", f"SECRET_{number}=x"]
        image = f"image-{number % IMAGES}:1"
        engine("run", "--detach", "--name", f"web-{number}", "--network=none", *labels, image, "/bin/sleep", "100000")


class _Scan:
    """A scan of this one capability, of a host that keeps its code."""

    def __init__(self, directory: pathlib.Path, engine: dockerd.Engine) -> None:
        from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import collect_spec
        from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Look, Options

        self._file = directory / "scan.py"
        self._command = engine.inside([measure.python(), str(self._file)])
        self._options = Options(state_dir=str(directory / "state"))
        params = {**{name: option.get("default") for name, option in collect_spec().items()}, "priority": "normal"}
        self._look = Look("docker", "docker_hardening.collect:collect", params)
        self._pins: t.Mapping[str, t.Any] = {}
        self._source = host_scan.LocalRun().source
        # The first one leaves the code there.
        self.result()

    def run(self) -> None:
        self.result()

    def result(self) -> dict[str, t.Any]:
        return self._asked(lambda: measure.output(self._command))

    def peak(self) -> dict[str, float]:
        """Return the memory of one more scan."""
        found: dict[str, float] = {}

        def measured() -> str:
            found.update(measure.peak(self._command))
            return measure.output(self._command)

        self._asked(measured)
        return found

    def _asked(self, run: t.Callable[[], str]) -> dict[str, t.Any]:
        from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.exchange import ask

        def send(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
            self._file.write_text(self._source(arguments))
            return t.cast("dict[str, t.Any]", json.loads(run()))

        answers = ask(send, [self._look], self._options, self._pins)
        self._pins = answers.pins
        return answers.looks["docker"]


def _all_seen(result: t.Mapping[str, t.Any], engine: dockerd.Engine, containers: int) -> None:
    """Raise RuntimeError unless each container and image was looked at."""
    (found,) = [each for each in result["engines"] if each["name"] == engine.address]
    if (found["state"], found["containers"], found["images"]) != ("running", containers, IMAGES):
        raise RuntimeError(f"not all of it was looked at: {found}, {result['coverage']}")
    seen = [entry for entry in result["containers"] if entry["engine"] == engine.address and entry["problem"] is None]
    if len(seen) != containers:
        raise RuntimeError(f"only {len(seen)} of {containers} containers were looked at")


def _timed(sides: t.Mapping[str, t.Callable[[], t.Any]]) -> dict[str, list[float]]:
    """Run all sides in turns; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _round in range(ROUNDS):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
        print(" ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items()), flush=True)
    return seconds


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def _ratio(ours: list[float], other: list[float]) -> float:
    return round(statistics.median(one / peer for one, peer in zip(ours, other, strict=True)), 3)
