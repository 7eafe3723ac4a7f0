# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands for a finding, ready to paste into a shell: accept, suppress, restore, close.

A command names a finding by its uid and an opening by the id of its request, which the controller made. No text of a
host is in it: hosts, paths and commands may be named like options, templates or shell code. Whoever accepts a change
accepts what they read: the command has a digest of that.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, change_ids
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE

# A placeholder: the person who copies a command writes the reason.
WHY = "WHY"
# How long a suppression lasts unless the person writes something else.
UNTIL = "30d"
# Text that a shell, ``key=value`` of ``--extra-vars`` and Jinja leave unchanged.
_PLAIN = re.compile(r"[A-Za-z0-9@%+:,./_-]+")
# The words of a command, also quoted ones with blanks.
_WORDS = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
_CHANGES = "file_integrity"
# For any finding: ID stands for its uid, or how that begins.
SUPPRESS = (
    f"ansible-playbook bulwark.servers.suppress -e bulwark_findings=ID -e bulwark_until={UNTIL} -e bulwark_reason={WHY}"
)


class Command(t.NamedTuple):
    """A command. name: ``accept``, ``suppress``, ``restore`` or ``close``. title: its effect. command: for sh."""

    name: str
    title: str
    command: str


class Stored(t.Protocol):
    """What a finding of the store has, as far as its commands depend on it."""

    @property
    def uid(self) -> str: ...
    @property
    def capability(self) -> str: ...
    @property
    def lifecycle(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def event(self) -> t.Mapping[str, t.Any]: ...


@dataclasses.dataclass(frozen=True)
class Case:
    """The properties of a finding that select its commands.

    store: the URL that its playbooks get, without a password; None for the default. state: of the changes of files that
    the finding shows (``change_ids.state``); "" if nothing of it can be accepted.
    """

    uid: str
    capability: str
    lifecycle: str
    status: str
    store: str | None = None
    state: str = ""

    @classmethod
    def of(cls, finding: Stored, store: str | None = None) -> Case:
        """Return the case of a finding of the store."""
        state = change_ids.state(change_ids.change_ids(finding.event)) if finding.capability == _CHANGES else ""
        return cls(finding.uid, finding.capability, finding.lifecycle, finding.status, store, state)


def commands(case: Case) -> list[Command]:
    """Return the commands for a finding, the most final one first; none if it is resolved or its uid is unusable."""
    if not _is_uid(case.uid):
        return []
    usable = []
    if case.status in ACTIVE and case.capability == _CHANGES and case.state:
        accept = _play(case, "accept", bulwark_state=case.state)
        usable.append(Command("accept", "Take it into the baseline", accept))
    if case.status in ACTIVE and case.lifecycle == "event":
        usable.append(Command("close", "It is dealt with", _play(case, "suppress", bulwark_decision="close")))
    if case.status in ACTIVE:
        usable.append(Command("suppress", "Hide it for a while", _play(case, "suppress", bulwark_until=UNTIL)))
    if case.status == "suppressed":
        usable.append(Command("restore", "Show it again", _play(case, "suppress", bulwark_decision="restore")))
    return usable


def can_investigate(event: t.Mapping[str, t.Any]) -> bool:
    """Return whether an investigation knows the platform of a finding's host; True if that is not recorded."""
    device = event.get("device")
    described = device.get("os") if isinstance(device, dict) else None
    platform = described.get("type") if isinstance(described, dict) else None
    if not isinstance(platform, str) or platform == "Unknown":
        return True
    return capabilities.platform_of(platform) in capabilities.load()["investigation"].platforms


def store_option(store: str | None) -> str:
    """Return what a command needs more for a store other than the default, "" for that one. store: as in ``Case``."""
    return f" -e {_assigned('bulwark_store', store)}" if store else ""


def wrapped(command: str, width: int) -> list[str]:
    """Return a command as lines that a shell takes as one, of at most so many columns unless a word is longer."""
    lines: list[str] = []
    for word in _WORDS.findall(command):
        if lines and len(lines[-1]) + 1 + len(word) <= width - 4:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [("  " if at else "") + line + (" \\" if at < len(lines) - 1 else "") for at, line in enumerate(lines)]


def close_opening(request: str, store: str | None = None) -> list[Command]:
    """Return the command that closes an opening of just-in-time access. request: its id."""
    if not _is_uid(request):
        return []
    command = _command("jit_close", {"jit_request": request, "jit_reason": WHY}, store)
    return [Command("close", "Close the ports now", command)]


def _play(case: Case, playbook: str, **more: str) -> str:
    return _command(playbook, {"bulwark_findings": case.uid, **more, "bulwark_reason": WHY}, case.store)


def _command(playbook: str, variables: t.Mapping[str, str], store: str | None) -> str:
    words = [f"-e {_assigned(name, value)}" for name, value in variables.items()]
    return " ".join([f"ansible-playbook bulwark.servers.{playbook}", *words]) + store_option(store)


def _assigned(name: str, value: str) -> str:
    """Return an assignment for ``--extra-vars`` as one word for sh, in which no value is a template."""
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    return shlex.quote(f"{{{name}: !unsafe {json.dumps(value)}}}")


def _is_uid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
