# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change means: a detection, or package activity that explains it.

A change is explained only when everything about it is: content by the owning package's own digest or, for what programs
generate, by a rule of ``derived.yml``; modes, owners and labels by what the package manager records, or by a new
version of the package. Otherwise the most severe of what is left decides.

What an attacker with root can still hide, and what is against it:

* During an upgrade, a file that no digest covers can be changed together with those that change legitimately: caches,
  boot images, bytecode of an upgraded package, where a dpkg package's own symbolic link leads (to a packaged file, into
  /etc or its own directory), ownership of an upgraded package's data. The rules name the packages that must have
  changed, which keeps the window to upgrades of those; nothing of that kind is explained at any other time.
* A package of the attacker's own (``dpkg -i evil.deb``), or the database edited to claim a new version with the
  trojan's digest, is explained as what it claims to be, and so is the removal of a security tool with the package
  manager. It shows in the list of explaining packages. An edit under the same version is
  ``fim_package_database_edited``.
* Identity (passwd, shadow, group), PAM, sudoers and SSH keys are never derived: without a digest they are reported.
* MD5, which is all that dpkg has: to make a second file with a given digest is infeasible; two files with the same
  digest can be made, but the package would have to ship one of them.
"""

from __future__ import annotations

import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import _classify_content as content
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity._classify_facts import Facts
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity._classify_permissions import permissions
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity._classify_verdicts import (
    GENERIC_ALERTS,
    detected,
    explained_by,
    rank,
)

METADATA_ALERT = "fim_metadata_changed"
# What differs when a file is written again with the same content.
_REWRITTEN = frozenset(("inode", "links", "mtime", "ctime"))


def classify(change: model.Change, context: model.Context) -> model.Verdict:
    """Return what one change means. Pure: everything comes from the arguments."""
    facts = Facts(change, context)
    verdicts = [*_content(facts), *permissions(facts)]
    detections = [verdict for verdict in verdicts if not verdict.explained]
    if detections:
        return _combined(detections)
    return verdicts[0] if verdicts else _metadata(facts)


def _content(facts: Facts) -> t.Iterator[model.Verdict]:
    """Yield what the content, or the presence, of the path means, when that is what changed."""
    change = facts.change
    if change.kind == model.CREATED:
        yield content.created(facts)
    elif change.kind == model.DELETED:
        yield content.deleted(facts)
    elif change.kind == model.RENAMED and change.before is not None:
        old = change.before
        gone = change._replace(kind=model.DELETED, path=old.path, watch=old.watch, after=None)
        yield content.renamed(facts, Facts(gone, facts.context))
    elif change.kind == model.REPLACED_TYPE:
        yield content.replaced(facts)
    elif change.kind == model.PACKAGE_MISMATCH:
        yield content.mismatch(facts)
    elif content.CONTENT_ATTRIBUTES & set(change.attributes):
        yield content.modified(facts)


def _metadata(facts: Facts) -> model.Verdict:
    """Judge a change of nothing but times, inode, links or other extended attributes: the content is what it was."""
    before, after, changed = facts.before, facts.after, facts.change.attributes
    more_links = before is not None and after is not None and (after.links or 0) > (before.links or 0)
    if more_links and after is not None and _is_setuid(after) and not facts.upgraded:
        message = "The setuid file has another hard link, under which it outlives its removal or update."
        return detected(facts, METADATA_ALERT, "medium", message)
    installed_again = facts.matches or facts.upgraded or (after is not None and after.type == model.LINK)
    written_again = facts.upgraded or _REWRITTEN.issuperset(changed)
    if facts.owned is not None and installed_again and written_again and not facts.database_edited:
        return explained_by(facts.owned)
    if _REWRITTEN.issuperset(changed) and facts.changed_packages(("*",)):
        return model.Verdict(message="follows from package changes: a file was written again with the same content")
    return detected(facts, METADATA_ALERT, "informational", "Only %s changed." % ", ".join(changed))


def _is_setuid(entry: model.Entry) -> bool:
    return entry.type == model.FILE and bool((entry.mode or 0) & stat.S_ISUID)


def _combined(detections: t.Sequence[model.Verdict]) -> model.Verdict:
    """Return the most severe detection, of equals the one that says more, with what the others say and mean."""
    worst = max(detections, key=lambda verdict: (rank(verdict.severity), verdict.alert not in GENERIC_ALERTS))
    others = [verdict for verdict in detections if verdict is not worst]
    techniques = [technique for verdict in (worst, *others) for technique in verdict.techniques]
    message = " ".join([worst.message, *(verdict.message for verdict in others)])
    return worst._replace(message=message, techniques=tuple(dict.fromkeys(techniques)))
