# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge modes, owners, ACLs, capabilities, flags and labels that changed or came with a new file."""

from __future__ import annotations

import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import xattrs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.facts import Facts
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.verdicts import (
    detected,
    explained_by,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import ACCOUNT, PROGRAM

SETUID_ALERT = "fim_setuid_added"
CAPABILITY_ALERT = "fim_capability_added"
PERMISSIONS_ALERT = "fim_permissions_changed"
FLAGS_ALERT = "fim_immutable_flag_changed"
LABEL_ALERT = "fim_selinux_label_changed"

_SET_ID = stat.S_ISUID | stat.S_ISGID
_EXECUTE = 0o111
_PERMISSIONS = 0o777
# Whose new version relabels files: the policy's.
_POLICY_PACKAGES = ("selinux-policy*", "container-selinux", "*-selinux")


def permissions(facts: Facts) -> list[model.Verdict]:
    """Return what each changed attribute of this kind means; nothing for what did not change."""
    judges = (_set_id, _mode, _ownership, _acl, _capabilities, _flags, _label)
    return [verdict for verdict in (judge(facts) for judge in judges) if verdict is not None]


def _set_id(facts: Facts) -> model.Verdict | None:
    before, after = facts.before, facts.after
    if after is None or after.type != model.FILE or after.mode is None:
        return None
    had = before.mode if before is not None and before.mode is not None and before.type == model.FILE else 0
    added = after.mode & _SET_ID & ~had
    if not added:
        return None
    name = " and ".join(word for bit, word in ((stat.S_ISUID, "setuid"), (stat.S_ISGID, "setgid")) if added & bit)
    severity, reason = _by_its_package(facts, facts.recorded_mode == after.mode)
    message = "The file is %s now (mode %04o, owner %s), %s." % (name, after.mode, _id(after.uid), reason)
    return detected(facts, SETUID_ALERT, severity, message)


def _capabilities(facts: Facts) -> model.Verdict | None:
    before, after = xattrs.capabilities(facts.before), xattrs.capabilities(facts.after)
    if facts.after is None or before == after:
        return None
    added = sorted(after - before)
    if not added:
        return None if facts.before is None else _permissions(facts, "low", "The file lost its file capabilities.")
    recorded = facts.owned.capabilities if facts.owned is not None and not facts.database_edited else None
    severity, reason = _by_its_package(facts, recorded is not None and xattrs.named(recorded) == after)
    message = "The file gained the capabilities %s, %s." % (", ".join(added), reason)
    return detected(facts, CAPABILITY_ALERT, severity, message)


def _by_its_package(facts: Facts, recorded: bool) -> tuple[str, str]:
    """Return how severe a new privilege is, and why, by what its package has to do with it."""
    if facts.owned is None:
        return "high", "and no package owns it"
    if recorded:
        return "low", "as %s records" % facts.label
    if facts.came_with_package:
        return "medium", "since %s was installed" % facts.label
    return "high", "which %s does not record" % facts.label


def _mode(facts: Facts) -> model.Verdict | None:
    before, after = facts.before, facts.after
    if after is None or after.mode is None or after.type == model.LINK:
        return None
    if facts.recorded_mode == after.mode:
        return _explained(facts, "mode")
    same_type = before is not None and before.type == after.type
    # Of what is new only what nothing should have counts.
    had = before.mode if before is not None and before.mode is not None and same_type else after.mode & ~0o002
    loosened = after.mode & ~had & _PERMISSIONS
    shown = "%04o, it was %04o before" % (after.mode, had) if same_type else "%04o" % after.mode
    sticky = after.type == model.DIRECTORY and after.mode & stat.S_ISVTX
    if loosened & 0o002 and not sticky:
        severity = "medium" if facts.came_with_package else "high"
        return _permissions(facts, severity, "Everybody can write to it now (mode %s)." % shown)
    if "mode" not in facts.change.attributes or not same_type:
        return None
    if facts.came_with_package and facts.recorded_mode is None:
        return _explained(facts, "mode")
    if loosened & 0o020:
        return _permissions(facts, "medium", "Its group can write to it now (mode %s)." % shown)
    if loosened & 0o004 and (not had & 0o077 or facts.category == ACCOUNT):
        return _permissions(facts, "medium", "Everybody can read what was private (mode %s)." % shown)
    if loosened & _EXECUTE and after.type == model.FILE and not had & _EXECUTE:
        return _permissions(facts, "medium", "The file can be executed now (mode %s)." % shown)
    if loosened:
        return _permissions(facts, "low", "More accounts have access now (mode %s)." % shown)
    if had & ~after.mode:
        return _permissions(facts, "informational", "The mode is stricter now (mode %s)." % shown)
    # Only special bits were added. On a file they are judged by _set_id.
    if after.type == model.FILE and after.mode & ~had & _SET_ID:
        return None
    return _permissions(facts, "informational", "The special bits are others now (mode %s)." % shown)


def _ownership(facts: Facts) -> model.Verdict | None:
    before, after = facts.before, facts.after
    if before is None or after is None or before.type != after.type:
        return None
    if not {"owner", "group"} & set(facts.change.attributes):
        return None
    records_none = facts.owned is not None and facts.owned.uid is None
    if _records_owner(facts, after) or (facts.came_with_package and records_none and facts.category != PROGRAM):
        return _explained(facts, "owner", "group")
    shown = "%s:%s, it was %s:%s before" % tuple(map(_id, (after.uid, after.gid, before.uid, before.gid)))
    if before.uid == 0 and after.uid not in (0, None):
        severity = "high" if facts.trusted else "medium"
        return _permissions(facts, severity, "It does not belong to root any more (%s)." % shown)
    return _permissions(facts, "low", "It has another owner or group (%s)." % shown)


def _records_owner(facts: Facts, after: model.Entry) -> bool:
    owned = facts.owned
    if owned is None or facts.database_edited or facts.recorded_mode is None:
        return False
    return (owned.uid, owned.gid) == (after.uid, after.gid)


def _acl(facts: Facts) -> model.Verdict | None:
    before, after = facts.before, facts.after
    if after is None or (before is not None and "acl" not in facts.change.attributes):
        return None
    added = sorted(xattrs.writers(after) - (xattrs.writers(before) if before is not None else frozenset()))
    if added:
        severity = "high" if facts.trusted else "medium"
        return _permissions(facts, severity, "An access control list lets %s write." % ", ".join(added))
    if before is None:
        return None
    if facts.came_with_package:
        return _explained(facts, "acl")
    return _permissions(facts, "low", "The access control list changed; nobody new can write.")


def _flags(facts: Facts) -> model.Verdict | None:
    after = facts.after
    if after is None or not after.flags or (facts.before is not None and "flags" not in facts.change.attributes):
        return None if "flags" not in facts.change.attributes else _flags_lost(facts)
    had = (facts.before.flags if facts.before is not None else None) or ()
    added = [flag.replace("_", "-") for flag in after.flags if flag not in had]
    if not added:
        return _flags_lost(facts)
    message = "The file is %s now: root itself can't replace it." % " and ".join(added)
    return detected(facts, FLAGS_ALERT, "medium", message)


def _flags_lost(facts: Facts) -> model.Verdict:
    return detected(facts, FLAGS_ALERT, "low", "The file lost its immutable or append-only flag.")


def _label(facts: Facts) -> model.Verdict | None:
    if facts.before is None or facts.after is None or "selinux" not in facts.change.attributes:
        return None
    if facts.came_with_package:
        return _explained(facts, "selinux")
    if not facts.signed_only and facts.changed_packages(_POLICY_PACKAGES):
        return model.Verdict(message="follows from package changes: files are relabelled with a new SELinux policy")
    shown = "%s, it was %s before" % (xattrs.label(facts.after), xattrs.label(facts.before))
    return detected(facts, LABEL_ALERT, "medium" if facts.trusted else "low", "The SELinux label is %s." % shown)


def _explained(facts: Facts, *attributes: str) -> model.Verdict | None:
    changed = facts.owned is not None and set(attributes) & set(facts.change.attributes)
    return explained_by(t.cast("model.Owned", facts.owned)) if changed else None


def _permissions(facts: Facts, severity: str, message: str) -> model.Verdict:
    return detected(facts, PERMISSIONS_ALERT, severity, message)


def _id(number: int | None) -> str:
    return "?" if number is None else "root" if number == 0 else str(number)
