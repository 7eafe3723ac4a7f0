# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers, and those who got into them, run: as records of the kernel, read as on a host with all detections."""

from __future__ import annotations

import pathlib
import re
import shlex
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue

from tests.content.audit import harness
from tests.support.recorded import Recorder

FOLDER = pathlib.Path(__file__).parent / "servers"
_BUILTIN = {"cd", "echo", "exec", "test", "command", "unset", "pwd", "set", "nohup"}


class Run(t.NamedTuple):
    """What one server runs, one thing or several after each other. bound: a severity."""

    server: dict[str, t.Any]
    commands: tuple[dict[str, t.Any], ...]
    bound: str

    @property
    def title(self) -> str:
        shown = ", ".join(str(next(iter(command.values()))) for command in self.commands)
        return f"{pathlib.PurePath(self.server['image']).name}: {shown}"


def runs(name: str, bound: str) -> list[Run]:
    found = []
    for group in catalogue.read(FOLDER / name):
        commands = [tuple(group["commands"])] if group.get("together") else [(one,) for one in group["commands"]]
        found += [Run(group["server"], several, group[bound]) for several in commands]
    return found


ORDINARY = runs("ordinary.yml", "most")
ATTACKS = runs("attacks.yml", "least")


def recorded(run: Run) -> bytes:
    """Return the log of a server that runs commands."""
    log = Recorder(user=run.server["user"])
    image = run.server["image"]
    server = log.execute(image, [pathlib.PurePath(image).name, "--serve"], log.init)
    if run.server.get("listens"):
        log.bind(server, 8080)
    # What only forked is not in the log.
    worker = log.fork(server) if run.server.get("forks") else server
    if worker is not server and not run.server.get("listens"):
        log.opens(worker)
    for command in run.commands:
        log.wait(20)
        _start(log, worker, command, becomes=bool(run.server.get("becomes")))
    return log.text()


def _start(log: Recorder, worker: int, command: t.Mapping[str, t.Any], becomes: bool) -> None:
    if "argv" in command:
        argv = command["argv"]
        image = command.get("image") or (argv[0] if "/" in argv[0] else f"/usr/bin/{argv[0]}")
        log.execute(image, argv, worker, pid=worker if becomes else None)
    elif "cmd" in command:
        argv = shlex.split(command["cmd"])
        log.execute(_path(argv[0]), argv, worker)
    elif "script" in command:
        script = log.execute("/usr/bin/dash", ["/bin/sh", "-xe", "/srv/build/step.sh"], worker)
        argv = shlex.split(command["script"])
        log.execute(_path(argv[0]), argv, script)
    else:
        shell = log.execute("/usr/bin/dash", ["sh", "-c", command["line"]], worker, pid=worker if becomes else None)
        parts = [part.strip(" ()") for part in re.split(r"\|\||&&|[|;&]", command["line"])]
        for part in parts:
            words = re.sub(r"\d?>+\s*\S*", "", part).replace("''", "").split()
            if not words or words[0] in _BUILTIN or words[0].startswith("#"):
                continue
            # The last command of a line needs no process of its own.
            log.execute(_path(words[0]), words, shell, pid=shell if len(parts) == 1 else None)


def _path(name: str) -> str:
    return name if name.startswith("/") else f"/usr/bin/{name}"


def severity(text: bytes) -> tuple[str, list[t.Any]]:
    """Return the highest severity of what a log raises, and all of that."""
    reader = Reader(harness.rules().payload, {})
    reader.read(text)
    reader.finish(4e9)
    found, _left = reader.tally.detections(100)
    ranks = [_finding.SEVERITIES.index(detection["severity"]) for detection in found]
    shown = [(detection["alert"], detection["severity"], detection["subject"]) for detection in found]
    return _finding.SEVERITIES[max(ranks, default=0)], shown


def test_there_are_enough_of_both() -> None:
    assert len(ORDINARY) >= 30
    assert len(ATTACKS) >= 30


@pytest.mark.parametrize("run", ORDINARY, ids=[run.title for run in ORDINARY])
def test_what_servers_ordinarily_run_is_no_alarm(run: Run) -> None:
    found, shown = severity(recorded(run))
    assert _finding.SEVERITIES.index(found) <= _finding.SEVERITIES.index(run.bound), shown


@pytest.mark.parametrize("run", ATTACKS, ids=[run.title for run in ATTACKS])
def test_what_intruders_run_below_servers_is_seen(run: Run) -> None:
    found, shown = severity(recorded(run))
    assert _finding.SEVERITIES.index(found) >= _finding.SEVERITIES.index(run.bound), shown
