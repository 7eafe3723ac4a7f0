# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scans as a user runs them: the real playbook over real SSH, with a store of their own that tests can look into."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import subprocess
import typing as t

from tests.integration import _keep
from tests.support import paths
from tests.support.controllers import Controller

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Coverage, Finding, Query, Store

# Alert and subject, which with the host are the identity of a finding, and how severe it is.
Open = dict[tuple[str, str], str]

# The name of an action of the collection, and its options.
Look = tuple[str, t.Mapping[str, t.Any]]

STATE = "/var/lib/bulwark/file_integrity"
BASELINE = f"{STATE}/default.baseline"


class Scanner:
    """One team's controller: an inventory, a store, and the report of the last scan."""

    def __init__(self, controller: Controller, inventory: pathlib.Path, directory: pathlib.Path) -> None:
        self.controller = controller
        self.inventory = inventory
        self.directory = directory
        self.report = directory / "report.html"
        self._result = directory / "result.json"
        self.store_url = f"sqlite:///{directory}/findings.db"

    def scan(
        self, *arguments: str, check: bool = True, environment: t.Mapping[str, str] | None = None, **variables: t.Any
    ) -> subprocess.CompletedProcess[str]:
        """Run ``bulwark.servers.scan``; arguments are ansible-playbook's own, variables extra ones."""
        return self.play("bulwark.servers.scan", *arguments, check=check, environment=environment, **variables)

    def play(
        self,
        playbook: str | pathlib.Path,
        *arguments: str,
        check: bool = True,
        environment: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> subprocess.CompletedProcess[str]:
        return self.controller.run_playbook(
            playbook,
            *arguments,
            inventory=self.inventory,
            extra_vars=self._variables(variables),
            environment=environment,
            check=check,
        )

    def started(self, playbook: str | pathlib.Path, *arguments: str, **variables: t.Any) -> subprocess.Popen[str]:
        """Start a playbook in a process group of its own, to be killed as a whole."""
        command = [self.controller.program("ansible-playbook"), str(playbook), "--inventory", str(self.inventory)]
        command += ["--extra-vars", json.dumps(self._variables(variables)), *arguments]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS), "LC_ALL": "C.UTF-8"}
        environment |= _keep.ENVIRONMENT
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def module(self, name: str, host: str, *arguments: str, check: bool = True, **options: t.Any) -> dict[str, t.Any]:
        """Run one of the collection's actions on a host in a play of its own, as root, and return its result."""
        (found,) = self.modules(host, (name, options), arguments=arguments)
        assert not (check and found.get("failed")), found["msg"]
        return found

    def modules(self, host: str, *looks: Look, arguments: t.Sequence[str] = ()) -> list[dict[str, t.Any]]:
        """Run several actions in one play, whatever becomes of each, and return their results."""
        self._result.unlink(missing_ok=True)
        self.play(self.actions(host, *looks), *arguments, environment=_keep.ENVIRONMENT)
        found: list[dict[str, t.Any]] = json.loads(self._result.read_text(encoding="utf-8"))
        return found

    def action(self, name: str, host: str, **options: t.Any) -> pathlib.Path:
        """Write the playbook of ``module`` and return its path."""
        return self.actions(host, (name, options))

    def actions(self, host: str, *looks: Look) -> pathlib.Path:
        """Write the playbook of ``modules`` and return its path."""
        tasks: list[dict[str, t.Any]] = [
            {"name": "Facts", "ansible.builtin.setup": {"gather_subset": ["!all", "min", "network"]}}
        ]
        for number, (name, options) in enumerate(looks):
            tasks.append(
                {
                    "name": "Look",
                    f"bulwark.servers.{name}": {"store": self.store_url, **options},
                    "register": f"result{number}",
                    "ignore_errors": True,
                }
            )
        results = ", ".join(f"result{number}" for number in range(len(looks)))
        tasks.append(_keep.task(f"[{results}]", self._result))
        play = {"name": "Actions", "hosts": host, "become": True, "gather_facts": False, "tasks": tasks}
        playbook = self.directory / "action.yml"
        playbook.write_text(json.dumps([play]), encoding="utf-8")
        return playbook

    @contextlib.contextmanager
    def store(self) -> t.Iterator[Store]:
        from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

        with contextlib.closing(Store.open(self.store_url)) as store:
            yield store

    def findings(self, host: str = "*", *statuses: str) -> list[Finding]:
        with self.store() as store:
            return store.query(_query(hosts=[host], statuses=statuses))

    def open(self, host: str = "*") -> Open:
        """Return the findings that are new or open."""
        return {(found.alert, found.subject): found.severity for found in self.findings(host, "new", "open")}

    def coverage(self) -> dict[str, Coverage]:
        """Return how far the newest run looked at each host."""
        with self.store() as store:
            (newest,) = store.runs(1)
            return {entry.host: entry for entry in store.coverage(newest.id)}

    def reasons(self, host: str) -> str:
        """Return everything that the newest run says about why it could not look, as one text."""
        return " / ".join(_reasons(self.coverage()[host]))

    def _variables(self, more: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        given = {
            "bulwark_store": self.store_url,
            "bulwark_report_path": str(self.report),
            # What these tests are about, and so what they count.
            "bulwark_capabilities": "file_integrity",
            # The default would leave the processor to all other tests of this machine.
            "file_integrity_priority": "normal",
        }
        return {**given, **more}


def recap(answer: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    """Return the numbers of PLAY RECAP by host."""
    lines = answer.stdout.rpartition("PLAY RECAP")[2].splitlines()
    found = {}
    for line in lines[1:]:
        host, colon, numbers = line.partition(" : ")
        if colon:
            found[host.strip()] = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", numbers)}
    return found


def refusal(said: str) -> str:
    """Return what a scan says as it fails at its end, where nothing else of it failed."""
    _before, result = said.split("FAILED! => ")
    return str(json.JSONDecoder().raw_decode(result)[0]["msg"])


def misconfigured(said: str, hosts: t.Iterable[str]) -> set[str]:
    """Return the hosts that a scan names as it fails, each for variables that are wrong on it alone."""
    return {host for host in hosts if re.search(rf"(?<!\S){re.escape(host)}: ", refusal(said))}


def _reasons(coverage: Coverage) -> t.Iterator[str]:
    for entry in coverage.entries:
        if entry["reason"]:
            yield f"{entry['scope']}: {entry['reason']}"
        for skipped in entry["skipped"]:
            yield f"{entry['scope']}: {skipped['subject']}: {skipped['reason']}"


def _query(**limits: t.Any) -> Query:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query

    return Query(**limits)
