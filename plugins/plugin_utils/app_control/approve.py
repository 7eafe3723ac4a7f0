# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make exceptions of what people approve: findings by their uid, or programs by their path."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import CHANGED, GONE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import is_folded
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import entries, exceptions_file
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import EXCEPTIONS
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, Store

CAPABILITY = "app_control"
VIOLATIONS = (*judge.UNAPPROVED_ALERTS.values(), judge.CHANGED_ALERT)


@dataclasses.dataclass(frozen=True)
class Approval:
    """An approval by a person. items: uids of findings and paths.

    hosts: that it is for, none for all; None for the host of the finding, or all of a path. any_content: also when the
    program has other content. until: as it is written into the file.
    """

    items: tuple[str, ...]
    hosts: tuple[str, ...] | None
    user: str
    any_content: bool
    reason: str
    by: str
    until: dt.date | str | None


@dataclasses.dataclass(frozen=True)
class Subject:
    """A program that an item names. hosts: where; sha256: its content there, "" for any; findings: to resolve."""

    name: str
    hosts: tuple[str, ...]
    sha256: str
    findings: tuple[Finding, ...]


def subjects(store: Store, approval: Approval) -> list[Subject]:
    """Return what the items name; raise ContentError for one that names nothing that can be approved."""
    findings = {each.uid: each for each in store.query(Query(uids=approval.items))}
    return [
        _of_finding(findings[item], approval) if item in findings else _of_path(store, item, approval)
        for item in approval.items
    ]


def new_entries(approval: Approval, approved: t.Sequence[Subject], now: float) -> list[exceptions_file.Entry]:
    """Return the entries that let the subjects run, one for each program and content."""
    hosts: dict[tuple[str, str], list[str]] = {}
    for each in approved:
        hosts.setdefault((each.name, each.sha256), []).extend(each.hosts)
    everywhere = {(each.name, each.sha256) for each in approved if not each.hosts}
    return [
        {
            "program": entries.literal(name),
            **({"sha256": sha256} if sha256 else {}),
            **({"user": approval.user} if approval.user else {}),
            **({} if (name, sha256) in everywhere else {"hosts": sorted(set(names))}),
            "reason": approval.reason,
            "by": approval.by,
            **({} if approval.until is None else {"until": approval.until}),
            "added": exceptions_file.today(now),
        }
        for (name, sha256), names in hosts.items()
    ]


def is_about(entry: exceptions_file.Entry, approved: t.Sequence[Subject], approval: Approval) -> bool:
    """Return whether an entry lets one of the subjects run, for the hosts and the account that are named."""
    if approval.user and entry.get("user") != approval.user:
        return False
    names = {*(entry.get("hosts") or ())}
    return any(
        entry.get("program") in (each.name, entries.literal(each.name))
        and (not names or not each.hosts or bool(names & {*each.hosts}))
        for each in approved
    )


def _of_finding(finding: Finding, approval: Approval) -> Subject:
    if finding.alert not in VIOLATIONS:
        raise ContentError(
            f"approve: the finding {finding.uid} is about {finding.alert}; only programs that no allowlist has can be "
            "approved"
        )
    if is_folded(finding.subject):
        raise ContentError(
            f"approve: the finding {finding.uid} is about many programs, {finding.subject}; allow the directory in an "
            f"allowlist, or write an exception with this pattern into {EXCEPTIONS}"
        )
    hosts = (finding.host,) if approval.hosts is None else approval.hosts
    sha256 = "" if approval.any_content else _content(finding)
    return Subject(finding.subject, hosts, sha256, (finding,))


def _of_path(store: Store, path: str, approval: Approval) -> Subject:
    if not path_of(path).startswith("/"):
        raise ContentError(f"approve: '{path}' is not a finding of the store and no absolute path")
    active = store.query(
        Query(capabilities=[CAPABILITY], alerts=VIOLATIONS, statuses=["new", "open"]), with_events=False
    )
    hosts = approval.hosts or ()
    named = tuple(each for each in active if each.subject == path and (not hosts or each.host in hosts))
    return Subject(path, hosts, "", named)


def path_of(subject: str) -> str:
    """Return the path in what ``judge.subject`` makes; images have no spaces in their names."""
    return subject if subject.startswith("/") else subject.partition(": ")[2]


def _content(finding: Finding) -> str:
    """Return the digest of the program of a finding; raise ContentError where it is not known.

    The finding has it of programs that were only ever blocked, too: they did not run, so no host learned them.
    """
    for evidence in finding.event.get("evidences", ()):
        data = evidence.get("data", {})
        if data.get("sha256") and data.get("content") not in (GONE, CHANGED):
            return str(data["sha256"])
    raise ContentError(
        f"approve: the content of {finding.subject} when it ran on {finding.host} is unknown; check the file, "
        "and set any_content to approve whatever is there"
    )
