# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge files that came, went, or have other content than before."""

from __future__ import annotations

import posixpath

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.derived_files import derived
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.facts import Facts, is_code
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.verdicts import (
    CREATED_ALERT,
    DELETED_ALERT,
    DIRECTORY_ALERT,
    MODIFIED_ALERT,
    detected,
    explained_by,
    raised,
    rank,
    unexplained,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import LIBRARY, PROGRAM

MISMATCH_ALERT = "fim_package_mismatch"
DATABASE_EDITED_ALERT = "fim_package_database_edited"
TYPE_ALERT = "fim_file_type_changed"
LINK_ALERT = "fim_file_replaced_by_link"
RENAMED_ALERT = "fim_file_renamed"
FORGED_ALERT = "fim_timestamp_forged"

CONTENT_ATTRIBUTES = frozenset(("type", "size", "content", "link_target", "device"))
_DEVICES = (model.CHAR_DEVICE, model.BLOCK_DEVICE)
_TIMESTOMP = "T1070.006"


def created(facts: Facts) -> model.Verdict:
    after = facts.after
    if after is None:
        raise ValueError("a created path has a state")
    by_package = _by_package(facts)
    if by_package is not None:
        return by_package
    if after.type in _DEVICES:
        return detected(facts, CREATED_ALERT, "high", "A device node appeared outside /dev.")
    if after.type == model.DIRECTORY:
        # What is put into it is a change of its own.
        return detected(facts, DIRECTORY_ALERT, "informational", "A new directory that no package owns.")
    verdict = unexplained(facts, CREATED_ALERT, "A new %s, and %s." % (after.type, _not_by(facts)))
    runs = is_code(after) and verdict.alert == CREATED_ALERT and rank(verdict.severity) < rank("medium")
    return verdict._replace(severity="medium") if runs else verdict


def modified(facts: Facts) -> model.Verdict:
    """Judge other content of the same kind of node."""
    by_package = _by_package(facts)
    if by_package is not None:
        return by_package
    before = facts.before
    is_disowned = facts.owned is None and not facts.signed_only
    if before is not None and before.package is not None and is_disowned and facts.gone_package() is None:
        message = "%s is still installed but does not own this file any more." % before.package.split(":")[1]
        return detected(facts, MISMATCH_ALERT, "critical" if facts.trusted else "high", message, ["T1554"])
    message = "The content changed, and %s." % _not_by(facts)
    if "link_target" in facts.change.attributes and facts.after is not None:
        message = "The link now leads to %s, and %s." % (_shown_target(facts.after), _not_by(facts))
    return _with_times(facts, unexplained(facts, MODIFIED_ALERT, message))


def unread(facts: Facts) -> model.Verdict:
    """Judge a file that was written or moved, whose content cannot be read any more."""
    return unexplained(facts, MODIFIED_ALERT, "It was changed, and its content cannot be read now.")


def replaced(facts: Facts) -> model.Verdict:
    """Judge another kind of node in a file's place."""
    by_package = _by_package(facts)
    if by_package is not None and by_package.alert != MISMATCH_ALERT:
        return by_package
    before, after = facts.before, facts.after
    if before is None or after is None:
        raise ValueError("a replaced path has two states")
    severity = "high" if facts.trusted or (facts.watch is not None and facts.watch.alert) else "medium"
    if after.type == model.LINK:
        message = "A %s was replaced by a link to %s." % (before.type, _shown_target(after))
        return detected(facts, LINK_ALERT, severity, message)
    if by_package is not None:
        return by_package
    severity = "high" if after.type in _DEVICES else severity
    return detected(facts, TYPE_ALERT, severity, "A %s was replaced by a %s." % (before.type, after.type))


def deleted(facts: Facts) -> model.Verdict:
    before = facts.before
    if before is None:
        raise ValueError("a deleted path had a state")
    generated = regenerated(facts)
    if generated is not None:
        return generated
    owned = facts.owned
    if owned is None:
        gone = facts.gone_package()
        if gone is not None:
            name, version = gone
            return model.Verdict(message="%s %s was removed" % gone, package=name, version=version)
        if before.package is not None and facts.signed_only:
            return unexplained(facts, DELETED_ALERT, "A packaged file is gone, and no signed package explains it.")
        if before.package is not None:
            message = "%s was not removed, but does not list this file any more." % before.package.split(":")[1]
            return unexplained(facts, DELETED_ALERT, message)
        if before.type == model.DIRECTORY:
            return detected(facts, DELETED_ALERT, "informational", "A directory that no package owned is gone.")
        return unexplained(facts, DELETED_ALERT, "A file that no package owned is gone.")
    if _was_dropped(owned, facts):
        return explained_by(owned)
    return unexplained(facts, DELETED_ALERT, "%s is installed and its file is gone." % facts.label)


def renamed(facts: Facts, old: Facts) -> model.Verdict:
    """Judge a rename as what it is: a path that appeared and one that is gone. old: the facts of the old path."""
    appeared, gone = created(facts), deleted(old)
    if appeared.explained and gone.explained:
        return appeared
    worst = max((verdict for verdict in (appeared, gone) if not verdict.explained), key=lambda v: rank(v.severity))
    if not appeared.explained and appeared.alert != CREATED_ALERT:
        message = "%s It was %s before." % (appeared.message, _shown(old.path))
        return appeared._replace(message=message, severity=worst.severity)
    message = "It was %s before, and no package explains it." % _shown(old.path)
    return detected(facts, RENAMED_ALERT, worst.severity or "medium", message)


def mismatch(facts: Facts) -> model.Verdict:
    """Judge a packaged file that is not what its package ships, whenever that happened."""
    by_package = _by_package(facts)
    return by_package if by_package is not None else _mismatched(facts)


def contradicted(facts: Facts, verdict: model.Verdict) -> model.Verdict:
    """Judge other content than a signed package ships, whose path another package owns now.

    verdict: without the lists of the host. Its times don't decide: a package chooses those of its files.
    """
    if verdict.alert not in (MODIFIED_ALERT, FORGED_ALERT):
        return verdict
    severity = max(verdict.severity or "medium", _severity_of_mismatch(facts), key=rank)
    return verdict._replace(alert=MISMATCH_ALERT, severity=severity)


def regenerated(facts: Facts) -> model.Verdict | None:
    """Return the explanation that programs generate this file when packages change; None when it isn't so."""
    rule = derived(facts)
    return None if rule is None else model.Verdict(message="follows from package changes: %s" % rule.description)


def _by_package(facts: Facts) -> model.Verdict | None:
    """Return what the owning package, or package activity as a whole, says of the state after; None when nothing.

    The content decides, not the version: what matches is explained even if the package stayed (a reinstallation), what
    doesn't match isn't, even if the package was just upgraded.
    """
    owned, after = facts.owned, facts.after
    if owned is not None and after is not None:
        matches = facts.matches
        if matches and facts.database_edited and after.type != model.DIRECTORY:
            message = "The file matches %s, whose digests were changed although its version was not." % facts.label
            return detected(facts, DATABASE_EDITED_ALERT, "high", message, ["T1554"])
        if matches and owned.conffile and not facts.upgraded and facts.before is not None:
            verdict = unexplained(facts, MODIFIED_ALERT, "It is now the configuration that %s ships." % facts.label)
            return verdict._replace(severity=raised(verdict.severity or "medium", -1))
        if matches:
            return explained_by(owned)
        if matches is False and not owned.conffile:
            return _mismatched(facts)
        if matches is None and not facts.signed_only and facts.upgraded and _leads_to_watched(facts, after):
            return explained_by(owned)
    return regenerated(facts)


def _leads_to_watched(facts: Facts, entry: model.Entry) -> bool:
    """Say whether a link leads to a packaged file, into /etc or into its own directory, which are watched themselves.

    dpkg does not record where its packages' links lead. A signed package does: it ships no link where it has none.
    """
    target = facts.target(entry)
    if entry.type != model.LINK or target is None:
        return False
    same_directory = posixpath.dirname(target) == posixpath.dirname(entry.path)
    return same_directory or target.startswith(b"/etc/") or facts.target_owner(entry) is not None


def _mismatched(facts: Facts) -> model.Verdict:
    message = "The content is not what %s installs." % facts.label
    return detected(facts, MISMATCH_ALERT, _severity_of_mismatch(facts), message)


def _severity_of_mismatch(facts: Facts) -> str:
    is_program = facts.after is not None and is_code(facts.after)
    return "critical" if is_program or facts.category in (PROGRAM, LIBRARY) else "high"


def _was_dropped(owned: model.Owned, facts: Facts) -> bool:
    """Say whether the package that still lists a path may have removed it itself."""
    return facts.upgraded and (owned.ghost or (owned.conffile and owned.obsolete))


def _not_by(facts: Facts) -> str:
    if facts.owned is None and facts.signed_only:
        return "no signed package explains it"
    if facts.owned is None:
        return "no package owns it"
    if facts.owned.conffile:
        return "it is not the configuration that %s ships" % facts.label
    return "%s records nothing to compare it with" % facts.label


def _with_times(facts: Facts, verdict: model.Verdict) -> model.Verdict:
    """Make an unexplained change more severe when the modification time claims that there was none."""
    before, after = facts.before, facts.after
    if before is None or after is None or "content" not in facts.change.attributes:
        return verdict
    if before.mtime_ns is None or after.mtime_ns is None or after.mtime_ns > before.mtime_ns:
        return verdict
    is_unchanged = after.mtime_ns == before.mtime_ns
    message = "%s Its modification time was %s." % (verdict.message, "kept" if is_unchanged else "set back")
    severity = raised(verdict.severity or "medium")
    techniques = tuple(dict.fromkeys([*verdict.techniques, _TIMESTOMP]))
    alert = FORGED_ALERT if verdict.alert == MODIFIED_ALERT else verdict.alert
    return model.Verdict(message=message, alert=alert, severity=severity, techniques=techniques)


def _shown(path: bytes) -> str:
    return _finding.printable(path)


def _shown_target(entry: model.Entry) -> str:
    return _shown(entry.link_target) if entry.link_target is not None else "an unknown target"
