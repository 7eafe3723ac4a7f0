# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose programs are learned, judged and approved with the playbooks and modules that people use."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, dry_run, learning
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, Store

from tests.support.controllers import Controller

# As the playbook learn does for this capability.
_LEARN: t.Final = {"ansible.builtin.include_role": {"name": "bulwark.servers.app_control", "tasks_from": "learn"}}
_APPROVE: t.Final = {
    "bulwark.servers.app_allowlist": {
        "allowlists": "{{ lists }}",
        "approve": "{{ approve }}",
        "reason": "A test needs it",
        "store": "{{ bulwark_store }}",
    }
}
# As three hosts it is learned from, since what runs on one alone is for people to decide.
_ALIKE: t.Final = ("twin-1", "twin-2")


class ControlledHost:
    """A host of an inventory with one host. lists: the directory with the reviewed allowlists."""

    def __init__(self, controller: Controller, inventory: pathlib.Path, directory: pathlib.Path) -> None:
        self._controller, self._directory = controller, directory
        directory.mkdir()
        self._inventory = directory / "inventory.json"
        ((self._name, host),) = json.loads(inventory.read_text())["all"]["hosts"].items()
        twins = {name: {**host, "app_control_state_dir": f"/var/lib/{name}"} for name in _ALIKE}
        self._inventory.write_text(json.dumps({"all": {"hosts": {self._name: host, **twins}}}))
        self.lists = directory / "lists"
        self._url = f"sqlite:///{directory}/store.db"

    def scan(self) -> str:
        """Look at the host, by the reviewed allowlists where there are any; return what the playbook shows."""
        lists: dict[str, str] = {}
        if self.lists.exists():
            lists = {"app_control_allowlists": str(self.lists), "bulwark_hosts": self._name}
        return self._run(
            "bulwark.servers.scan",
            bulwark_capabilities="app_control",
            bulwark_report_path=str(self._directory / "report.html"),
            app_control_automation_users=["automation"],
            app_control_automation_addresses=["127.0.0.1"],
            **lists,
        )

    def learn(self) -> None:
        """Write drafts of allowlists."""
        self._do(
            _LEARN,
            bulwark_learn_directory=str(self._directory / "learned"),
            app_control_minimum_days=1,
            app_control_minimum_hosts=3,
            app_control_max_review=1_000,
        )

    def review(self, known: t.Container[str], exception: t.Mapping[str, str]) -> None:
        """Make reviewed allowlists of the drafts, as people do.

        They allow what is in question of packages, and files that they know to be theirs.
        """
        drafts = sorted((self._directory / "learned" / "app_control").glob("*.yml"))
        assert drafts
        self.lists.mkdir()
        for draft in drafts:
            content = yaml.safe_load(draft.read_text())
            allowed = [each for each in content["review"] if "package" in each["rule"] or each["program"] in known]
            content["allow"] += [each["rule"] for each in allowed]
            content["review"] = [each for each in content["review"] if each not in allowed]
            content["hosts"] = [self._name]
            (self.lists / draft.name).write_text(yaml.safe_dump(content))
        (self.lists / "exceptions.yml").write_text(yaml.safe_dump({"exceptions": [dict(exception)]}))

    def would_alert(self) -> dict[str, str]:
        """Return which paths would be alerts on the host by the reviewed lists, with the alert: the dry run."""
        with self._store() as store:
            lists = allowlist_files.load(self.lists)
            replay = dry_run.replay(store.fleet(), lists, learning.users_of(store), time.time())
        return {each.program.path: each.alert for each in replay.alerts if self._name in each.hosts}

    def programs(self) -> set[Program]:
        """Return all that ever ran, on the host as each of the three."""
        with self._store() as store:
            return set(store.fleet().programs)

    def approve(self, finding: Finding) -> None:
        self._do(_APPROVE, lists=str(self.lists), approve=[finding.uid])

    def findings(self) -> list[Finding]:
        """Return all findings, with their status as it is now."""
        with self._store() as store:
            return store.query(Query(capabilities=["app_control"]))

    def _store(self) -> contextlib.closing[Store]:
        return contextlib.closing(Store.open(self._url))

    def _do(self, task: t.Mapping[str, t.Any], **variables: t.Any) -> None:
        """Do something once, as it is about the store and no host."""
        file = self._directory / "task.yml"
        play = {"name": "Do", "hosts": "all", "gather_facts": False, "tasks": [{**task, "run_once": True}]}
        file.write_text(yaml.safe_dump([play]))
        self._run(file, **variables)

    def _run(self, playbook: str | pathlib.Path, **variables: t.Any) -> str:
        given = {"bulwark_store": self._url, **variables}
        return self._controller.run_playbook(playbook, inventory=self._inventory, extra_vars=given).stdout
