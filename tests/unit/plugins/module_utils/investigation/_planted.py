# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in namespaces of its own: start what an intruder starts, investigate it, and print the result as JSON.

The argument is what to begin with. The address 203.0.113.9 is on the loopback interface there, so that nothing leaves
the machine. Directories in which others write meanwhile are empty there.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation import collect, options

DIRECTORY = pathlib.Path("/dev/shm/planted")
CONTROL = ("203.0.113.9", 4443)
# A web server that is told to start a shell, which starts what it brought; and others that have nothing to do with it.
_SERVER = r"""
import os, socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 8080))
shell = subprocess.Popen(["/bin/sh", "-c", sys.argv[1]])
sys.stdin.read()
"""
# Processes that come and go while they are read.
_CHURN = """
import subprocess, time
for _number in range(2_000):
    subprocess.run(["/bin/true"])
    time.sleep(0.002)
"""
_TALK = r"""
import socket, sys, time
peer = socket.create_connection(("203.0.113.9", 4443))
held = open(sys.argv[1], "w")
time.sleep(600)
"""


def main(begin: str) -> None:
    for path in ("/tmp", "/var/tmp", "/dev/shm"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)
    directory = DIRECTORY
    directory.mkdir()
    for command in ("ip link set lo up", f"ip address add {CONTROL[0]}/32 dev lo"):
        subprocess.run(command.split(), check=True)
    control = socket.create_server(CONTROL)
    implant = directory / "implant"
    shutil.copy2(os.path.realpath(sys.executable), implant)
    script = directory / "talk.py"
    script.write_text(_TALK)
    log = directory / "stolen.txt"
    ended = directory / "ended"
    shutil.copy2("/bin/true", ended)
    python = sys.executable
    line = f"{ended}; {implant} -S {script} {log} & {implant} -S -c 'import time; time.sleep(600)' & wait"
    server = subprocess.Popen(
        [python, "-S", "-c", _SERVER, line],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "SECRET_KEY": "hunter2"},
    )
    others = [subprocess.Popen(["sleep", str(600 + each)], start_new_session=True) for each in range(20)]
    peer, _address = control.accept()
    pids = _pids(implant)
    while not log.exists():
        time.sleep(0.01)
    if begin == "deleted":
        implant.unlink()
    subject = {"process": {"pid": pids[0]}, "deleted": {"pid": pids[0]}, "path": {"path": str(implant)}}
    given: dict[str, t.Any] = {"pid": pids[0]}
    if begin == "killed":
        started = time.time() - 3_600
        evidence = {"process": {"pid": pids[0], "created_time": int(started * 1000), "name": "gone"}}
        given = {"finding": "F", "_evidences": [evidence], "_last_time": started + 1}
    elif begin == "address":
        given = {"address": CONTROL[0]}
    elif begin != "churn":
        given = subject[begin]
    params = {name: fields.get("default") for name, fields in options.collect_spec().items()}
    churn = None
    if begin == "churn":
        churn = subprocess.Popen([python, "-S", "-c", _CHURN])
    before = _snapshot(directory)
    found = collect.collect({**params, **given, "priority": "normal", "audit_logs": ["/nonexistent"]}, False)
    changed = _snapshot(directory) != before
    if churn is not None:
        churn.kill()
    names = {"implants": pids, "server": server.pid, "others": [other.pid for other in others], "self": os.getpid()}
    sys.stdout.write(json.dumps({**found, "names": names, "changed_anything": changed}) + "\n")
    peer.close()
    for process in (server, *others):
        process.send_signal(signal.SIGKILL)


def _pids(program: pathlib.Path) -> list[int]:
    """Return the processes that run a program, once both do."""
    while True:
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    if os.readlink(f"/proc/{name}/exe") == str(program):
                        found.append(int(name))
                except OSError:
                    continue
        if len(found) == 2:
            return sorted(found)
        time.sleep(0.01)


def _snapshot(directory: pathlib.Path) -> list[tuple[str, int, int]]:
    """Return what a look must not change; the access time is left out as the file system may be mounted with it."""
    states = [(path, path.stat()) for path in sorted(directory.iterdir())]
    return [(path.name, status.st_mtime_ns, status.st_ctime_ns) for path, status in states]


if __name__ == "__main__":
    main(sys.argv[1])
