# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that runs playbooks on a fleet, and what each run costs: itself, the hosts and the network."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import typing as t

from tests.fleet.fleet import Fleet
from tests.fleet.usage import Usage
from tests.fleet.wire import Line
from tests.support import paths, waiting

# One event as the callback writes it: its name, the host and the task.
Event = tuple[str, str | None, str | None]

_CALLBACKS = pathlib.Path(__file__).with_name("_callbacks")


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a playbook.

    wall_s: of ansible-playbook alone. controller_cpu_s: of it and all that it started, with every ssh; ssh_cpu_s: the
    part of the ssh that stay connected between tasks. host_cpu_s: of all processes of all hosts. bytes: of all
    Ethernet frames, both ways.
    """

    code: int
    wall_s: float
    controller_cpu_s: float
    ssh_cpu_s: float
    host_cpu_s: float
    bytes: int
    events: tuple[Event, ...]
    output: str

    @property
    def results(self) -> int:
        """Count the task results, those of loops' items included."""
        return sum(
            name.startswith(("v2_runner_on_", "v2_runner_item_on_")) for name, host, _task in self.events if host
        )


class Controller:
    """An ansible-playbook with one tree of the collection, and a store, caches and connections of its own."""

    def __init__(self, fleet: Fleet, line: Line, directory: pathlib.Path, name: str, collections: pathlib.Path) -> None:
        """directory: of the tree; what is compiled once stays in it. name: of this controller, whose store is new."""
        cache = directory / "cache"
        directory = directory / name
        directory.mkdir(parents=True)
        self.store = f"sqlite:///{directory}/findings.db"
        self._fleet = fleet
        self._line = line
        self._directory = directory
        self._configuration = directory / "ansible.cfg"
        self._configuration.touch()
        self._events = directory / "events.jsonl"
        self._environment = {
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_CONFIG": str(self._configuration),
            "ANSIBLE_HOME": str(directory / "home"),
            "ANSIBLE_CALLBACK_PLUGINS": str(_CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "bench_events",
            "ANSIBLE_NOCOLOR": "1",
            "BULWARK_BENCH_EVENTS": str(self._events),
            "LC_ALL": "C.UTF-8",
            "XDG_CACHE_HOME": str(cache),
            "XDG_STATE_HOME": str(directory / "state"),
        }

    def scan(self, *arguments: str, **more: t.Any) -> Run:
        """Run ``bulwark.servers.scan``, as ``play`` does."""
        return self.play("bulwark.servers.scan", *arguments, **more)

    def play(
        self,
        playbook: str | pathlib.Path,
        *arguments: str,
        check: bool = True,
        environment: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> Run:
        """Run a playbook and return its costs.

        arguments: ansible-playbook's own. variables: extra ones. check: raise RuntimeError when it fails.
        """
        usages = [Usage(host) for host in self._fleet.hosts]
        processes = {process for usage in usages for process in usage.processes()}
        used, carried = sum(usage.seconds() for usage in usages), self._line.bytes
        self._events.unlink(missing_ok=True)
        result, output = self._directory / "result.json", self._directory / "output.txt"
        command = [sys.executable, "-m", "tests.bench._reaper", str(result)]
        command += self.command(playbook, *arguments, **variables)
        with output.open("wb") as stream:
            ended = subprocess.run(
                command,
                cwd=paths.ROOT,
                env={**os.environ, **(environment or {})},
                stdout=stream,
                stderr=stream,
                check=False,
            )
        said = output.read_text(encoding="utf-8", errors="replace")
        if check and ended.returncode != 0:
            raise RuntimeError(f"{playbook} ended with {ended.returncode}:\n{said}")
        # The hosts' ends of the connections end a moment later.
        waiting.until(
            lambda: all(usage.processes().keys() <= processes for usage in usages),
            lambda: f"{playbook} leaves on hosts: {[usage.processes() for usage in usages]}",
        )
        figures = json.loads(result.read_text(encoding="ascii"))
        return Run(
            code=ended.returncode,
            wall_s=figures["wall_s"],
            controller_cpu_s=figures["cpu_s"],
            ssh_cpu_s=figures["left_cpu_s"],
            host_cpu_s=sum(usage.seconds() for usage in usages) - used,
            bytes=self._line.bytes - carried,
            events=tuple(tuple(json.loads(line)) for line in self._events.read_text(encoding="utf-8").splitlines()),
            output=said,
        )

    def command(self, playbook: str | pathlib.Path, *arguments: str, **variables: t.Any) -> list[str]:
        """Return what runs a playbook in the namespace of the controller."""
        given = {"bulwark_store": self.store, "bulwark_report_path": f"{self._directory}/report.html", **variables}
        environment = [f"{name}={value}" for name, value in self._environment.items()]
        program = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
        return [
            *("env", "-u", "PYTHONDONTWRITEBYTECODE", *environment),
            *self._line.command,
            *(program, str(playbook), "--inventory", str(self._fleet.inventory)),
            *("--extra-vars", json.dumps(given), *arguments),
        ]
