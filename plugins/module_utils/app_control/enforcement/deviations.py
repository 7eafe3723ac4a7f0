# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the enforcement on a host with the deployed policy, and with the mode that the controller wants. Pure."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import AUDIT, ENFORCE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.state import Deployed
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import leases

SCOPE = "enforcement"
SUBJECT = "fapolicyd"
MISSING, OFF, CHANGED = "app_enforcement_missing", "app_enforcement_off", "app_enforcement_changed"
FOREIGN, NOT_AT_BOOT, DRIFT = "app_foreign_trust", "app_enforcement_not_at_boot", "app_enforcement_drift"
_SHOWN = 20


class Seen(t.NamedTuple):
    """The facts of a host.

    version: of fapolicyd, None if it is not installed. is_running: whether it decides about files. is_permissive: by
    its configuration. is_refused: whether the kernel refused a file that nothing trusts, None if that was not tried.
    changed: files that are not as they were deployed, below /etc/fapolicyd. is_at_boot: None if that is unknown.
    foreign: paths that files of others trust and no allowlist has, by these files. trusted: how many files the policy
    trusts; stale: how many of them are gone or have another size. temporary: in words, what is deployed for a time
    only, "" for nothing. lasting: why a maintenance window that ended still lets everything run, "" if it does not.
    is_window: whether one is open. unwatched: mounts with programs that the daemon does not watch, as "PATH (TYPE)".
    has_leases: whether accounts can have leases on files.
    """

    version: str | None
    is_running: bool = False
    is_permissive: bool = False
    is_refused: bool | None = None
    changed: tuple[str, ...] = ()
    is_at_boot: bool | None = None
    foreign: t.Mapping[str, t.Sequence[str]] = {}
    trusted: int = 0
    stale: int = 0
    temporary: str = ""
    lasting: str = ""
    is_window: bool = False
    unwatched: tuple[str, ...] = ()
    has_leases: bool = False


def missing(wanted: str, seen: Seen) -> list[dict[str, t.Any]]:
    """Return what is wrong with a host on which nothing is deployed. wanted: the mode that the controller wants."""
    if wanted == AUDIT:
        return []
    why = "fapolicyd is not installed" if seen.version is None else "no policy is deployed"
    message = "Mode %s is wanted, and %s." % (wanted, why)
    return [_deviation(MISSING, message, {"wanted": wanted})]


def deviations(
    wanted: str, content: t.Mapping[str, t.Any] | None, deployed: Deployed, in_force: t.Mapping[str, t.Any], seen: Seen
) -> list[dict[str, t.Any]]:
    """Return what is wrong with a host on which a policy is deployed.

    content: the allowlist of the controller, None without one. in_force: that of the policy.
    """
    # Root on the host can make any of that, so it lowers a severity and drops nothing.
    lowered = "informational" if seen.temporary else None
    explained = " For now, %s." % seen.temporary if seen.temporary else ""
    detections = []
    off = why_off(deployed.mode, seen)
    if off or seen.is_window:
        # An upgrade has nothing run that nobody trusts.
        severity = (lowered if seen.is_refused is None else None) or (None if deployed.mode == ENFORCE else "medium")
        message = (off + explained).strip()
        detections.append(_deviation(OFF, message, {"mode": deployed.mode, "canary": _canary(seen)}, severity=severity))
    if seen.changed:
        message = "Other than deployed: %s.%s" % (", ".join(printable(path) for path in seen.changed), explained)
        data = {"files": [printable(path) for path in seen.changed]}
        detections.append(_deviation(CHANGED, message, data, severity=lowered))
    for name, paths in sorted(seen.foreign.items()):
        shown = [printable(path) for path in paths[:_SHOWN]]
        number = "an entry" if len(paths) == 1 else "%d entries" % len(paths)
        first = "for %s" % shown[0] if len(paths) == 1 else "the first for %s" % shown[0]
        message = "%s has %s that no allowlist has, %s." % (printable(name), number, first)
        detections.append(_deviation(FOREIGN, message, {"paths": shown, "entries": len(paths)}, printable(name)))
    if seen.is_at_boot is False:
        detections.append(_deviation(NOT_AT_BOOT, "systemd does not start fapolicyd at boot.", {}))
    drift = why_drifted(wanted, content, deployed, in_force)
    if drift:
        detections.append(_deviation(DRIFT, " ".join(drift), {"wanted": wanted, "mode": deployed.mode}))
    return detections


def why_off(mode: str, seen: Seen) -> str:
    """Return why the policy has no effect, "" if it has one."""
    if seen.version is None:
        return "fapolicyd is not installed any more, so every program runs."
    if not seen.is_running:
        return "fapolicyd does not run, so every program runs."
    if mode == ENFORCE and seen.lasting:
        return "A maintenance window ended, and every program still runs: %s." % seen.lasting.rstrip(".")
    if mode == ENFORCE and seen.is_refused is False:
        return "fapolicyd does not refuse a harmless untrusted file, so it does not enforce the policy."
    if mode == ENFORCE and seen.is_permissive:
        return "fapolicyd is configured to be permissive, so it lets every program run."
    return ""


def why_drifted(
    wanted: str, content: t.Mapping[str, t.Any] | None, deployed: Deployed, in_force: t.Mapping[str, t.Any]
) -> list[str]:
    """Return sentences on what the next run of protect would change."""
    sentences = []
    if wanted != deployed.mode:
        sentences.append("The host is in mode %s, and %s is wanted." % (deployed.mode, wanted))
    if content is None:
        sentences.append("No allowlist is for this host any more.")
        return sentences
    ours, theirs = _entries(content), _entries(in_force)
    added, removed = len(ours - theirs), len(theirs - ours)
    if added or removed:
        sentences.append(
            "Rules and exceptions that only the allowlist has: %d; that only the policy has: %d." % (added, removed)
        )
    return sentences


def describe(deployed: Deployed, seen: Seen) -> list[str]:
    """Return sentences for the coverage: what is in force, and what it does not stop."""
    version = "fapolicyd %s" % seen.version if seen.version else "fapolicyd"
    notes = ["Mode %s by %s, %d trusted files." % (deployed.mode, version, seen.trusted)]
    if seen.temporary:
        notes.append("For now: %s." % seen.temporary)
    if seen.stale:
        notes.append("%d trusted files are gone or were changed; protect trusts them again." % seen.stale)
    if seen.unwatched:
        notes.append("Not watched by fapolicyd: %s." % ", ".join(map(printable, seen.unwatched[:_SHOWN])))
    if seen.has_leases:
        notes.append("%s." % (leases.NOTE[:1].upper() + leases.NOTE[1:]))
    notes.append(
        "Not stopped: code in arguments and pipes, files in memory, programs in containers and other mount namespaces,"
        " libraries that were read as something else before, and what interpreters read, if fapolicyd does not take it"
        " for a script, if it is below a directory of the system, or if root's Python reads it. The daemon's own trust"
        " database, and trust that root gives it for its running time, are not read."
    )
    return notes


def _entries(content: t.Mapping[str, t.Any]) -> set[str]:
    """Return each rule and each exception as a text of its own."""
    rules = [[each["name"], each["distribution"], rule] for each in content["lists"] for rule in each["rules"]]
    return {json.dumps(each, sort_keys=True) for each in [*rules, *content["exemptions"]]}


def _canary(seen: Seen) -> str:
    return "not tried" if seen.is_refused is None else "refused" if seen.is_refused else "let through"


def _deviation(
    alert: str, message: str, data: t.Mapping[str, t.Any], subject: str = SUBJECT, severity: str | None = None
) -> dict[str, t.Any]:
    return detection(
        alert, subject, SCOPE, [{"data": {"problem": message, **data}}], severity=severity, message=message
    )
