# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide about a change: it is a detection, or package activity explains it or only claims to.

A change is judged twice. First only what a signature covers counts: the archive whose digest a signed repository index
has, or an RPM header whose signature verifies, each by a key that the sealed baseline knows. What that explains
entirely (content, modes, owners, links) is **explained**. Then the host's own files are asked: dpkg's database and
digests, an unsigned RPM header, the fact that packages changed. What they explain is only **claimed**: root can write
all of it. A claim is counted in a finding about its package. It never lowers the severity of a file by which accounts
authenticate, something starts or somebody becomes another user, nor that of a file that the signed package contradicts.

What an attacker with root can still hide, and what is against it:

* A repository's key, or its archive, that was there when the baseline was made or that a person accepted since.
* A signed package that is vulnerable or unwanted: it shows in the list of explaining packages.
* MD5, which is all that dpkg's own records have: they explain nothing, they only claim.
"""

from __future__ import annotations

import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import content
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.facts import (
    GUARDED_CATEGORIES,
    Facts,
    is_code,
    ships,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.permissions import (
    LABEL_ALERT,
    permissions,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.verdicts import (
    GENERIC_ALERTS,
    detected,
    explained_by,
    rank,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.xattrs import capabilities
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import ACCOUNT, DEFENCE

METADATA_ALERT = "fim_metadata_changed"
_CONTRADICTED = "the signed package ships something else there"
_NOT_VERIFIABLE = "no signed package shows what it should be"
# What differs when a file is written again with the same content.
_REWRITTEN = frozenset(("inode", "links", "mtime", "ctime"))


def classify(change: model.FileChange, context: model.Context, signed: model.Context | None) -> model.Verdict:
    """Return what one change means. Pure: everything comes from the arguments.

    context: with all that the host says. signed: the same with only what a signature covers; None while files are
    recorded for the first time, when no sealed baseline says which keys to believe.
    """
    if signed is None:
        return _judged(Facts(change, context))
    by_signature = Facts(change, signed)
    proven = _judged(by_signature)
    # Packages have no SELinux labels: those follow the policy, which is asked below.
    if proven.explained or (by_signature.matches is True and proven.alert != LABEL_ALERT):
        return proven
    facts = Facts(change, context)
    claimed = _judged(facts)
    if claimed.explained:
        return _claimed(facts, by_signature, claimed, proven)
    if by_signature.matches is False and rank(proven.severity) > rank(claimed.severity):
        return proven
    return claimed._replace(severity=max(claimed.severity, proven.severity, key=rank))


def _judged(facts: Facts) -> model.Verdict:
    verdicts = [*_content(facts), *permissions(facts)]
    detections = [verdict for verdict in verdicts if not verdict.explained]
    if detections:
        return _combined(detections)
    return verdicts[0] if verdicts else _metadata(facts)


def _claimed(facts: Facts, signed: Facts, claimed: model.Verdict, proven: model.Verdict) -> model.Verdict:
    """Return what to make of an explanation (``said``) that no signature backs. proved: what is left without it."""
    packages = t.cast("model.SignedPackages", signed.context.packages)
    owned = facts.owned
    is_owners = owned is not None and claimed.package == owned.package
    problem = packages.problem(t.cast("model.Owned", owned)) if is_owners else _NOT_VERIFIABLE
    shipped = _shipped_by_former_owner(facts, signed)
    is_another = shipped is not None and facts.after is not None and ships(shipped, facts.after) is False
    if shipped is not None and is_another and not shipped.conffile:
        proven = content.contradicted(facts, proven)
    is_contradicted = is_another or _is_contradicted(facts, signed, problem)
    reason = _CONTRADICTED if is_contradicted else problem or _NOT_VERIFIABLE
    by = "claimed by %s %s" % (claimed.package, claimed.version) if is_owners else "claimed: " + claimed.message
    claim = "%s: %s" % (by, reason)
    if is_contradicted or (proven.severity != "informational" and _keeps_severity(facts)):
        message = "%s Only the host's own records explain it (%s)." % (proven.message, claim)
        return proven._replace(message=message)
    return model.Verdict(message=claim, package=claimed.package, version=claimed.version, claimed=True)


def _is_contradicted(facts: Facts, signed: Facts, problem: str) -> bool:
    """Say whether the signed package that owns the path says otherwise. problem: why the package proves nothing."""
    owned = facts.owned
    if owned is None or problem or signed.matches is True:
        return False
    return signed.owned is not None or not owned.obsolete


def _shipped_by_former_owner(facts: Facts, signed: Facts) -> model.Owned | None:
    """Return what the signed package ships at the path that owned it in the baseline and does not any more.

    The host's own lists say who owns a path now, and that its package does not ship it any more: both can be edited.
    """
    former = facts.former_owner
    if former is None or (facts.owned is not None and facts.owned.key == former):
        return None
    return t.cast("model.SignedPackages", signed.context.packages).shipped_by(former, facts.path)


def _keeps_severity(facts: Facts) -> bool:
    """Say whether a claim leaves the severity as it is: accounts authenticate by the file, it starts something, ...

    What is gone starts nothing; its loss counts where it guarded something.
    """
    if facts.after is None:
        return facts.category in (DEFENCE, ACCOUNT)
    if facts.category in GUARDED_CATEGORIES or _sets_id(facts.after) or capabilities(facts.after):
        return True
    owners = {facts.former_owner, facts.owned.key if facts.owned is not None else None} - {None}
    return is_code(facts.after) and any(map(facts.context.keeps_severity, t.cast("set[str]", owners)))


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
    elif facts.before is not None and facts.before.package_mismatch:
        # It was not what its package ships before the baseline, and is not because its times or rights change now.
        yield content.mismatch(facts)


def _metadata(facts: Facts) -> model.Verdict:
    """Judge a change of nothing but times, inode, links or other extended attributes."""
    before, after, changed = facts.before, facts.after, facts.change.attributes
    if before is not None and before.hashes and after is not None and after.hashes == {}:
        # Whoever keeps a file changing, or holds it, must not have it taken for what it was.
        return content.unread(facts)
    more_links = before is not None and after is not None and (after.links or 0) > (before.links or 0)
    if more_links and after is not None and _sets_id(after):
        message = "The setuid file has another hard link, under which it outlives its removal or update."
        return detected(facts, METADATA_ALERT, "medium", message)
    installed_again = facts.matches or facts.upgraded or (after is not None and after.type == model.LINK)
    if facts.owned is not None and installed_again and _REWRITTEN.issuperset(changed) and not facts.database_edited:
        return explained_by(facts.owned)
    if _REWRITTEN.issuperset(changed):
        generated = content.regenerated(facts)
        if generated is not None:
            return generated
    return detected(facts, METADATA_ALERT, "informational", "Only %s changed." % ", ".join(changed))


def _sets_id(entry: model.Entry) -> bool:
    return entry.type == model.FILE and bool((entry.mode or 0) & (stat.S_ISUID | stat.S_ISGID))


def _combined(detections: t.Sequence[model.Verdict]) -> model.Verdict:
    """Return the most severe detection, of equals the one that says more, with what the others say and mean."""
    worst = max(detections, key=lambda verdict: (rank(verdict.severity), verdict.alert not in GENERIC_ALERTS))
    others = [verdict for verdict in detections if verdict is not worst]
    techniques = [technique for verdict in (worst, *others) for technique in verdict.techniques]
    message = " ".join([worst.message, *(verdict.message for verdict in others)])
    return worst._replace(message=message, techniques=tuple(dict.fromkeys(techniques)))
