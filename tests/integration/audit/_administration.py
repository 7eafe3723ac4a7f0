# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do, recorded by a real audit daemon, and what detections say of it.

All of it belongs to three login users, by which its events are told from those of whatever else the machine does: a
person on a host, automation on it, and a person on this machine. What runs in containers has no login user; it is told
by its descent from what the engine starts for those containers.
"""

from __future__ import annotations

import itertools
import pathlib
import re
import subprocess
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect as sign_ins_collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.support import audit

# No account has it. The kernel's rules about people begin at 1000.
LOGIN_USER = 54321
# Of whom Ansible signs in as.
AUTOMATION_USER = 54322
# Of whom scripts on this machine are.
MACHINE_USER = 54323
_AS_PERSON = f'echo {MACHINE_USER} > /proc/self/loginuid && exec "$@"'
_ENGINE = (b"/dockerd", b"/containerd")
_STAMP = re.compile(rb"^(type=\w+ msg=audit\(\d+\.\d+:)(\d+)(?=\))", re.MULTILINE)
_EVENT = re.compile(rb"^type=\w+ msg=audit\(([^)]+)\)", re.MULTILINE)
_CALL = re.compile(
    rb'^type=SYSCALL msg=audit\(([^)]+)\): .*? ppid=(\d+) pid=(\d+) auid=\d+ .*? exe="?([^" ]+)', re.MULTILINE
)
# Other tests wait for the kernel's audit system meanwhile.
_SECONDS = 300

# Enough of an attack to see that what is quiet above isn't deaf.
ATTACK = """
    cp /bin/true /dev/shm/bulwark-administration
    /dev/shm/bulwark-administration
    rm /dev/shm/bulwark-administration
    bash -c 'echo aWQK | base64 -d | sh'
"""


class Seen(t.NamedTuple):
    """Findings, of how many events, and the log with those."""

    findings: list[dict[str, t.Any]]
    events: int
    log: str


class Recording:
    """A daemon that writes down what happens, and who makes it happen."""

    def __init__(self, daemon: audit.Daemon, directory: pathlib.Path) -> None:
        self._daemon, self._directory = daemon, directory

    def run(self, name: str, *command: str) -> None:
        """Run a command as the login user, in a directory of its own; AssertionError with its output if it fails."""
        directory = self._directory / name
        directory.mkdir()
        answer = subprocess.run(
            ["/bin/sh", "-c", _AS_PERSON, "sh", *command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
        assert answer.returncode == 0, f"{name}: {answer.stdout.decode(errors='replace')}"

    def script(self, name: str, script: str) -> None:
        self.run(name, "/bin/bash", "-euc", script)

    def of_users(self, *users: int) -> bytes:
        """Return the log of these login users up to now."""
        self._daemon.settle()
        return selected_users(self._daemon.text().encode("utf-8", "surrogateescape"), *users)

    def seen(self, containers: t.Iterable[str] = (), sign_ins: str = "", **options: t.Any) -> Seen:
        """Return what the detections find in the events up to now, each with its severity.

        containers: ids of those that belong to it. sign_ins: a log of sign-ins to look at, too. options: of the module
        that looks at events.
        """
        self._daemon.settle()
        log = self._directory / f"selected-{len(list(self._directory.iterdir()))}.log"
        log.write_bytes(selected(self._daemon.text().encode("utf-8", "surrogateescape"), containers))
        common = {
            "since": None,
            "time_budget": 0,
            "max_findings": 1000,
            "priority": "normal",
            "state_dir": str(self._directory / "state"),
            "_token": None,
            "_advance": False,
            "_content": detections.load().payload,
        }
        found = collect.collect({**common, "paths": [str(log)], **options}, check_mode=True)
        nothing = str(self._directory / "nothing")
        places = Places([sign_ins or nothing], [str(log)], "never", *(5 * [nothing]))
        options = {**common, "paths": None, "audit_paths": None, "first_days": 30}
        signed_in = sign_ins_collect.collect(options, check_mode=True, places=places)
        known = catalogue.load()
        # In what was selected others' events are missing.
        recorded = [one for one in found["detections"] if one["alert"] != "audit_events_missing"]
        for detection in (every := recorded + signed_in["detections"]):
            detection["severity"] = detection["severity"] or known.alert(detection["alert"]).severity
        return Seen(every, found["audit_events"]["events"], log.read_text("utf-8", "backslashreplace"))


def selected_users(log: bytes, *users: int) -> bytes:
    """Return the records of events that belong to login users, numbered as if there had been no others."""
    numbers = itertools.count(1)
    renumbered: dict[bytes, bytes] = {}

    def renumber(stamp: re.Match[bytes]) -> bytes:
        if stamp[2] not in renumbered:
            renumbered[stamp[2]] = b"%d" % next(numbers)
        return stamp[1] + renumbered[stamp[2]]

    return _STAMP.sub(renumber, _lines(log, _of_users(log, users)))


def selected(log: bytes, containers: t.Iterable[str]) -> bytes:
    """Return the records of events that belong to the login users, to the container engine or to these containers."""
    wanted = _of_users(log, (LOGIN_USER, AUTOMATION_USER, MACHINE_USER))
    of_containers = {record.group(1) for each in containers for record in _records(log, each.encode())}
    family: set[bytes] = set()
    for call in _CALL.finditer(log):
        event, parent, process, image = call.groups()
        if event in of_containers or parent in family:
            family.add(process)
        if process in family or image.endswith(_ENGINE):
            wanted.add(event)
    return _lines(log, wanted)


def _of_users(log: bytes, users: t.Iterable[int]) -> set[bytes]:
    return {record.group(1) for number in users for record in _records(log, b" auid=%d " % number)}


def _lines(log: bytes, wanted: t.Container[bytes]) -> bytes:
    lines = log.splitlines(keepends=True)
    return b"".join(line for line in lines if (found := _EVENT.match(line)) and found.group(1) in wanted)


def _records(log: bytes, text: bytes) -> t.Iterator[re.Match[bytes]]:
    return re.finditer(rb"^type=\w+ msg=audit\(([^)]+)\)[^\n]*" + re.escape(text), log, re.MULTILINE)
