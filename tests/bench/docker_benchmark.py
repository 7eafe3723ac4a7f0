# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of a host with 50 containers and 10 images, against reading the same answers and throwing them away.

A real engine of the bench's own has them, started from an image of BusyBox. Ours runs as it does on a target (the file
that ansible-core sends, in a fresh process of the system's Python), with all of its checks, and judges this engine
beside any other that the machine has. The peer asks the engine the same questions over the same socket and reads the
answers to their end, in one process with nothing else to import: what no tool can be quicker than. Both run at normal
priority, in turns. many_s is ours with MANY containers, which are made and not started but for CONTAINERS of them:
a container that runs takes a shim, a container that does not is inspected all the same. peak_mb and many_peak_mb are
the largest proportional set sizes (PSS, proc_pid_smaps(5)) of our processes.
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
from tests.support import commands, dockerd, paths

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
        engine = stack.enter_context(dockerd.running(directory / "engine", "--log-level=warn"))
        _populate(engine)
        ours = measure.payload(directory / "ours.py", _MODULE, {"priority": "normal"})
        peer = [measure.python(), "-I", "-S", "-c", _PEER, str(engine.socket)]
        _all_seen(ours, engine, CONTAINERS)
        seconds = _timed({"ours": ours, "peer": peer})
        peak = measure.peak(ours)
        for number in range(CONTAINERS, MANY):
            engine("create", "--name", f"made-{number}", f"image-{number % IMAGES}:1", "/bin/sleep", "100000")
        _all_seen(ours, engine, MANY)
        many = _timed({"many": ours, "many_peer": peer})
        many_peak = measure.peak(ours)
        return {
            "ours_s": _median(seconds["ours"]),
            "peer_s": _median(seconds["peer"]),
            "ratio": _ratio(seconds["ours"], seconds["peer"]),
            "peak_mb": peak["peak_mb"],
            "many_s": _median(many["many"]),
            "many_peer_s": _median(many["many_peer"]),
            "many_ratio": _ratio(many["many"], many["many_peer"]),
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


def _all_seen(ours: list[str], engine: dockerd.Engine, containers: int) -> None:
    """Raise RuntimeError unless each container and image was looked at."""
    result = json.loads(measure.output(ours))
    (found,) = [each for each in result["engines"] if each["name"] == engine.address]
    if (found["state"], found["containers"], found["images"]) != ("running", containers, IMAGES):
        raise RuntimeError(f"not all of it was looked at: {found}, {result['coverage']}")
    seen = [entry for entry in result["containers"] if entry["engine"] == engine.address and entry["problem"] is None]
    if len(seen) != containers:
        raise RuntimeError(f"only {len(seen)} of {containers} containers were looked at")


def _timed(sides: t.Mapping[str, list[str]]) -> dict[str, list[float]]:
    """Run all sides in turns; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _round in range(ROUNDS):
        for name, command in sides.items():
            began = time.perf_counter()
            measure.output(command)
            seconds[name].append(time.perf_counter() - began)
        print(" ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items()), flush=True)
    return seconds


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def _ratio(ours: list[float], other: list[float]) -> float:
    return round(statistics.median(one / peer for one, peer in zip(ours, other, strict=True)), 3)
