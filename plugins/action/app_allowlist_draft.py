# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write allowlists from what hosts ran as files for people to review."""

from __future__ import annotations

import contextlib
import datetime as dt
import pathlib
import time
import typing as t

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import naming
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import (
    allowlist_files,
    draft_file,
    dry_run,
    learning,
    outdated,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import Lists
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommend import recommend
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Role
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet

ARGUMENTS: t.Mapping[str, t.Any] = {
    **STORE_OPTION,
    "directory": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str"},
    "allowlists": {"type": "str", "default": ""},
    "replace": {"type": "bool", "default": False},
    "minimum_days": {"type": "int", "default": 14},
    "minimum_hosts": {"type": "int", "default": 3},
    "max_review": {"type": "int", "default": 20},
}
_MODE = 0o600


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Recommend from what the store has; never write over what was there unasked."""

    TRANSFERS_FILES = False
    _requires_connection = False

    @naming.names_variables
    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            result.update(self._learn(options))
        except (ContentError, StoreError, output.OutputError) as error:
            # Ansible repeats in its message that of every error which led to it; this one says it all.
            raise AnsibleActionFail(str(error)) from None
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def _learn(self, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        try:
            store = Store.open(options["store"], mode="read")
        except StoreError as error:
            if options["store"]:
                raise
            return _nothing(f"No programs of these hosts are recorded: {error}.")
        with contextlib.closing(store):
            return self._draft(store, options)

    def _draft(self, store: Store, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        now = time.time()
        directory = output.located(options["directory"])
        used = _lists(output.located(options["allowlists"]) if options["allowlists"] else None)
        drafts = _lists(directory if directory.exists() else None)
        fleet = store.fleet(None if options["hosts"] is None else [host_name(host) for host in options["hosts"]])
        if not any(host.programs for host in fleet.hosts):
            return _nothing("No programs of these hosts are recorded: bulwark.servers.scan learns them.")
        asked = Options(**{name: options[name] for name in ("minimum_days", "minimum_hosts", "max_review")})
        recommendation = recommend(fleet, asked, learning.previous(drafts, used), learning.open_findings(store))
        roles = [role for role in recommendation.roles if not role.problem]
        files = draft_file.file_names(roles, drafts)
        learned = {role.name: _learned(role, fleet, now) for role in roles}
        named = {role.name: draft_file.named_hosts(role, recommendation.hosts) for role in roles}
        written = [
            self._put(
                directory / files[role.name],
                role,
                draft_file.text(role, learned[role.name], named[role.name]),
                drafts,
                fleet,
                options["replace"],
            )
            for role in roles
        ]
        lists = [draft_file.as_list(role, files[role.name], learned[role.name], named[role.name]) for role in roles]
        tried = Lists(directory, dry_run.with_reviewed(lists, used.roles), used.exemptions)
        replay = dry_run.replay(fleet, tried, learning.users_of(store), now)
        alerts = learning.shown_alerts(store, replay.alerts)
        changes = learning.shown_changes(outdated.of_lists(used, recommendation, fleet))
        problems = {role.name: role.problem for role in recommendation.roles if role.problem}
        return {
            "changed": any(each["changed"] for each in written),
            "enough_data": bool(roles),
            "observed": sum(bool(host.programs) for host in fleet.hosts),
            "roles": [_shown(role, each) for role, each in zip(roles, written, strict=True)],
            "hosts": {host: list(names) for host, names in recommendation.hosts.items()},
            "insufficient": dict(recommendation.insufficient),
            "problems": problems,
            "alerts": alerts,
            "alerts_count": len(replay.alerts),
            "changes": changes,
            "diff": [each["diff"] for each in written if each["changed"] or each["preserved"]],
            "lines": [
                visible(line)
                for line in (
                    *(_role_line(role, each) for role, each in zip(roles, written, strict=True)),
                    *(f"No allowlist for {name}: {problem}" for name, problem in problems.items()),
                    *_insufficient_lines(recommendation.insufficient),
                    *(learning.alert_lines(alerts, len(replay.alerts)) if roles else ()),
                    *learning.change_lines(changes),
                )
            ],
        }

    def _put(
        self,
        path: pathlib.Path,
        role: Role,
        text: str,
        drafts: Lists,
        fleet: Fleet,
        replace: bool,
    ) -> dict[str, t.Any]:
        """Write the file, beside the one that is there unless that says the same or may be replaced."""
        there = next((each for each in drafts.roles if each.name == role.name), None)
        before = path.read_text(encoding="utf-8") if there else ""
        differences = outdated.of_role(there, role, fleet) if there else None
        if there and not differences:
            return {"changed": False, "path": str(path), "preserved": False}
        preserved = there is not None and not replace
        # Whatever people have changed in a file is theirs.
        target = path.with_name(f"{path.stem}{allowlist_files.PROPOSAL}") if preserved else path
        changed = output.put(target, text, _MODE, _is_same, dry=self._task.check_mode, what="allowlist")
        diff = {"before": before, "after": text, "before_header": str(path), "after_header": str(target)}
        return {"changed": changed, "path": str(target), "preserved": preserved, "diff": diff}


def _lists(directory: pathlib.Path | None) -> Lists:
    return Lists(pathlib.Path(), (), ()) if directory is None else allowlist_files.load(directory)


def _learned(role: Role, fleet: Fleet, now: float) -> draft_file.Learned:
    names = set(role.hosts)
    days = max((host.days for host in fleet.hosts if host.name in names), default=0)
    return draft_file.Learned(days, len(names), dt.datetime.fromtimestamp(now, dt.UTC).date())


def _is_same(before: str, after: str) -> bool:
    """Return whether two drafts differ at most in when they were learned."""
    try:
        old, new = yaml.safe_load(before), yaml.safe_load(after)
    except yaml.YAMLError:
        return False
    if not isinstance(old, dict):
        return False
    return {**old, "learned": None} == {**new, "learned": None}


def _nothing(line: str) -> dict[str, t.Any]:
    return {
        "changed": False,
        "enough_data": False,
        "observed": 0,
        "roles": [],
        "hosts": {},
        "insufficient": {},
        "problems": {},
        "alerts": [],
        "alerts_count": 0,
        "changes": [],
        "lines": [visible(line)],
    }


def _shown(role: Role, written: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "name": role.name,
        "distribution": role.distribution,
        "hosts": list(role.hosts),
        "recommended": len(role.rules),
        "review": len(role.review),
        "left_out": role.left_out,
        "undecided": role.undecided,
        "path": written["path"],
        "preserved": written["preserved"],
    }


def _role_line(role: Role, written: t.Mapping[str, t.Any]) -> str:
    hosts, rules = counted(len(role.hosts), "host"), counted(len(role.rules), "rule")
    what = f"{role.name}: {hosts}, {rules}, {len(role.review)} to review"
    if written["preserved"]:
        return f"{what}. Its file was there already and is as it was; compare it with {written['path']}."
    return f"{what}. Review {written['path']}, which allows and blocks nothing by itself."


def _insufficient_lines(insufficient: t.Mapping[str, str]) -> list[str]:
    """Return why hosts have no role, hosts with the same reason together."""
    hosts: dict[str, list[str]] = {}
    for host, reason in insufficient.items():
        hosts.setdefault(reason, []).append(host)
    return [
        f"Not learned from {counted(len(names), 'host')} ({', '.join(names[:3])}): {reason}"
        for reason, names in hosts.items()
    ]
