# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approve programs that no allowlist has, and take approvals back."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import pathlib
import stat
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import recording, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import (
    STORE_OPTION,
    StoreActionBase,
    person,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import (
    allowlist_files,
    approve,
    entries,
    exceptions_file,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Selection, Store

_MODE = 0o644


class ActionModule(StoreActionBase):
    """Change the file of exceptions, then the findings."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "allowlists": {"type": "str", "required": True},
            "approve": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "hosts": {"type": "list", "elements": "str"},
            "user": {"type": "str", "default": ""},
            "any_content": {"type": "bool", "default": False},
            "reason": {"type": "str"},
            "until": {"type": "str"},
        },
        "required_if": [("state", "present", ["reason"])],
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        now = time.time()
        approval = _approval(options, person(task_vars), now)
        approved = approve.subjects(store, approval)
        directory = output.located(options["allowlists"])
        try:
            with _locked(directory):
                written = self._write(directory, approval, approved, options["state"], now)
        except output.OutputError as error:
            raise AnsibleActionFail(str(error)) from None
        if options["state"] == "absent":
            return written
        uids = [finding.uid for each in approved for finding in each.findings]
        changes = []
        if uids:
            reason = f"approved: {approval.reason}"
            changes = store.resolve(Selection(uids=uids), reason=reason, by=approval.by, now=now)
        shown = recording.shown(changes)
        return {
            **written,
            "changed": written["changed"] or shown["changed"],
            "changes": shown["changes"],
            "changes_count": shown["changes_count"],
        }

    def _write(
        self,
        directory: pathlib.Path,
        approval: approve.Approval,
        approved: t.Sequence[approve.Subject],
        state: str,
        now: float,
    ) -> dict[str, t.Any]:
        """Write the file in place of the one that is there; return what was changed in it."""
        # What is wrong with any file of the directory would stop the next scan.
        allowlist_files.load(directory)
        # A link is where people put it: the file is what it leads to.
        path = (directory / allowlist_files.EXCEPTIONS).resolve()
        before = path.read_bytes().decode("utf-8") if path.exists() else ""
        known = exceptions_file.listed(before)
        added: list[exceptions_file.Entry] = []
        removed: list[exceptions_file.Entry] = []
        if state == "present":
            wanted = approve.new_entries(approval, approved, now)
            added = [entry for entry in wanted if not exceptions_file.is_listed(known, entry, now)]
            after = exceptions_file.add(before, added)
        else:
            after, removed = exceptions_file.remove(before, lambda entry: approve.is_about(entry, approved, approval))
        changed = after != before
        if changed:
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else _MODE
            output.put(path, after, mode, str.__eq__, dry=self._task.check_mode, what="file of exceptions")
        return {
            "changed": changed,
            "path": str(path),
            "added": [_shown(entry) for entry in added],
            "removed": [_shown(entry) for entry in removed],
            "diff": {"before": before, "after": after, "before_header": str(path), "after_header": str(path)},
        }


def _approval(options: t.Mapping[str, t.Any], by: str, now: float) -> approve.Approval:
    reason = " ".join((options["reason"] or "").split())
    if options["state"] == "present" and not reason:
        raise AnsibleActionFail("reason is empty: say why the program is needed, for those who read the file later")
    return approve.Approval(
        items=tuple(dict.fromkeys(options["approve"])),
        hosts=None if options["hosts"] is None else tuple(host_name(host) for host in options["hosts"]),
        user=options["user"],
        # What is taken back is so whatever its content was.
        any_content=options["any_content"] or options["state"] == "absent",
        reason=reason,
        by=by,
        until=_until(options["until"], now),
    )


def _until(given: str | None, now: float) -> dt.date | str | None:
    """Return when an approval ends as it is written into the file: a day as such, anything else as a time."""
    if not given:
        return None
    try:
        until: dt.date | str = dt.date.fromisoformat(given.strip())
    except ValueError:
        time_of = dt.datetime.fromtimestamp(timestamps.parse(given, now, ahead=True), dt.UTC)
        until = time_of.strftime("%Y-%m-%dT%H:%M:%SZ")
    ends = entries.exemption({"program": "/", "user": "x", "reason": "x", "by": "x", "until": until}, "until").until
    if ends is not None and ends <= now:
        raise AnsibleActionFail(f"until '{given}' is over; an approval ends in the future")
    return until


@contextlib.contextmanager
def _locked(directory: pathlib.Path) -> t.Iterator[None]:
    """Let one run at a time change the files of a directory; it waits for the other, which takes a moment."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise output.OutputError(f"allowlists: {directory} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _shown(entry: exceptions_file.Entry) -> dict[str, t.Any]:
    return {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in entry.items()}
