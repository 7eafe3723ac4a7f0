# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a policy is not deployed, in sentences; and what of the programs that ran it would stop. Pure."""

from __future__ import annotations

import fnmatch
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    GONE,
    LIBRARY,
    MEMORY,
    MODIFIED,
    NO_DIGEST,
    UNPACKAGED,
    VERIFIED,
    Program,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.decisions import Decisions
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import (
    Facts,
    HostFile,
    Options,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import (
    Blocked,
    Policy,
    watched,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import is_folded
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import OTHER_ROOT, Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.paths import unprintable_text
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import versions

_SHOWN = 10
# With more, fapolicyd before 1.3.7 takes half a minute and more to start (measured: 40,000 entries 6 s, 80,000 72 s).
_MOST_TRUSTED = 60_000
# Package managers run programs below these while they upgrade; their hook trusts them.
_UPGRADES = ("/var/lib/dpkg/", "/var/cache/debconf/", "/var/tmp/rpm-tmp.")  # noqa: S108 - nothing is written there
_LONGEST_SETTING = 158


def refusals(policy: Policy, facts: Facts, options: Options) -> list[str]:
    """Return a sentence for each reason, all at once; nothing for a policy that may be deployed."""
    return [
        *_of_version(policy, facts),
        *_of_observation(facts, options),
        *_of_essentials(policy, facts),
        *_of_blocked(policy, facts, options),
        *_of_file_systems(policy, facts, options),
        *_of_hard_links(facts),
    ]


def blocked(policy: Policy, records: t.Iterable[Record], users: t.Mapping[str, int] | None = None) -> list[Blocked]:
    """Return the programs that ran and that the policy would stop, by path.

    users: ids of accounts, for exceptions that are for one. Left out: programs in containers and in memory, which
    fapolicyd does not see, and what package managers run while they upgrade, which their hook trusts.
    """
    decisions = Decisions(policy.rules, policy.trusted)
    blocked_programs = []
    # A program that was only ever refused did not run, and attempts must not keep a policy from a host.
    for record in filter(lambda each: each.has_run, records):
        program = record.program
        path = unprintable_text(program.path)
        is_seen = not program.image and program.content != MEMORY and not path.startswith((OTHER_ROOT, *_UPGRADES))
        if is_seen and not _runs(decisions, record, path, users or {}):
            blocked_programs.append(Blocked(program.path, program.kind, _why(program), record.last))
    return sorted(blocked_programs)


def _essential_problems(policy: Policy, facts: Facts) -> dict[str, str]:
    """Return the files of the way back in that a policy would stop, by path, with a clause that says why."""
    decisions = Decisions(policy.rules, policy.trusted)
    problems: dict[str, str] = {}
    for essential in facts.essentials:
        if essential.file is None:
            problems[essential.path] = "%s, for %s: %s" % (
                printable_text(essential.path),
                essential.role,
                essential.problem,
            )
        elif not decisions.is_executed(essential.file.path, essential.file.sha256, 0):
            problems[essential.path] = _untrusted(essential.file, essential.role)
    needed = set(facts.essential_packages)
    pending = list(needed)
    while pending:
        others = set(facts.depends.get(pending.pop(), ())) - needed
        needed |= others
        pending += others
    for file in facts.files:
        package = (file.manager, file.package)
        # Nothing needs a script that an administrator may edit; a changed one is named among what is blocked.
        if package in needed and not file.conffile and not decisions.is_executed(file.path, file.sha256, 0):
            role = facts.essential_packages.get(package, "a dependency of SSH or Ansible")
            problems.setdefault(file.path, _untrusted(file, role))
    return problems


def _runs(decisions: Decisions, record: Record, path: str, users: t.Mapping[str, int]) -> bool:
    program = record.program
    accounts = [users.get(name) for name in record.users] or [None]
    if program.kind == LIBRARY:
        return all(decisions.is_library_loaded(path, program.sha256, uid) for uid in accounts)
    if all(decisions.is_executed(path, program.sha256, uid) for uid in accounts):
        return True
    # An interpreter that runs a script is the only program that is executed.
    interpreter = unprintable_text(program.interpreter)
    names = record.users or [""]
    return bool(interpreter) and all(
        decisions.is_script_read(interpreter, path, 0 if name == "root" else users.get(name)) for name in names
    )


def _why(program: Program) -> str:
    if is_folded(program.path):
        return "files below that directory are gone, and no rule allows what is there"
    if program.content == GONE:
        return "it is gone, so it can't be trusted"
    reasons = {
        UNPACKAGED: "it belongs to no package, and no rule of the allowlist allows it",
        MODIFIED: "it is not as its package %s ships it" % program.package,
        NO_DIGEST: "its package %s records no digest of it" % program.package,
        VERIFIED: "no allowlist has its package %s" % program.package,
    }
    return reasons.get(program.verification, "it could not be read")


def _of_version(policy: Policy, facts: Facts) -> t.Iterator[str]:
    features = versions.features(facts.version)
    if features is None:
        yield "fapolicyd %s is too old or unknown; version 1.1 or newer is needed." % (
            facts.version or "is missing, or"
        )
    elif len(policy.trusted) > _MOST_TRUSTED and not features.fast_trust:
        yield (
            "%d files would be trusted, with which fapolicyd %s takes minutes to start; update it to 1.3.7 or newer."
            % (len(policy.trusted), facts.version)
        )


def _of_observation(facts: Facts, options: Options) -> t.Iterator[str]:
    if facts.observed_days < options.minimum_days:
        yield (
            "Executions are known without a gap on %d days, and app_control_minimum_days is %d: scan this host until"
            " then, or lower it." % (facts.observed_days, options.minimum_days)
        )


def _of_essentials(policy: Policy, facts: Facts) -> t.Iterator[str]:
    """Yield why the way back in would not be trusted as it is."""
    problems = _essential_problems(policy, facts)
    shown = [problems[path] for path in sorted(problems)]
    if shown:
        more = "; and %d more" % (len(shown) - _SHOWN) if len(shown) > _SHOWN else ""
        yield (
            "SSH and Ansible need files that would not be trusted: %s%s. Reinstall their packages, or name them in the"
            " allowlist by a sha256 rule." % ("; ".join(shown[:_SHOWN]), more)
        )


def _untrusted(file: HostFile, role: str) -> str:
    why = {
        MODIFIED: "it is not as its package %s ships it" % file.package,
        NO_DIGEST: "its package %s records no digest of it" % file.package,
        UNPACKAGED: "it belongs to no package, and no rule allows it",
    }
    reason = why.get(file.verification, "its content is in doubt")
    return "%s, for %s: %s" % (printable_text(file.path), role, reason)


def _of_blocked(policy: Policy, facts: Facts, options: Options) -> t.Iterator[str]:
    unreviewed = [
        each
        for each in blocked(policy, facts.records, facts.users)
        if not any(fnmatch.fnmatchcase(each.path, pattern) for pattern in options.blocked)
    ]
    if unreviewed:
        shown = "; ".join("%s (%s)" % (each.path, each.why) for each in unreviewed[:_SHOWN])
        more = "; and %d more" % (len(unreviewed) - _SHOWN) if len(unreviewed) > _SHOWN else ""
        yield (
            "Programs that ran here would be stopped: %s%s. Add them to the allowlist, or name them in"
            " app_control_blocked." % (shown, more)
        )


def _of_file_systems(policy: Policy, facts: Facts, options: Options) -> t.Iterator[str]:
    kinds = watched(facts, options)
    holding = sorted({kind for kind in map(_kind_at(facts), (each.path for each in policy.trusted)) if kind})
    missing = [kind for kind in holding if kind not in kinds]
    if missing:
        yield (
            "Programs are on file systems that fapolicyd would not watch: %s; name them in app_control_file_systems."
            % ", ".join(missing)
        )
    if len("watch_fs = %s" % policy.settings["watch_fs"]) > _LONGEST_SETTING:
        yield "watch_fs has no room for so many types; name those with programs in app_control_file_systems."


def _of_hard_links(facts: Facts) -> t.Iterator[str]:
    """Yield why any account could have programs refused to everybody: fapolicyd keeps decisions by inode."""
    if not facts.protects_hard_links:
        yield (
            "Every account can make hard links to programs, and fapolicyd would then refuse the programs, too; set "
            "the sysctl fs.protected_hardlinks to 1."
        )


def _kind_at(facts: Facts) -> t.Callable[[str], str]:
    """Return what says of a path which type of file system it is on, "" for unknown."""
    mounts = [(each.point.rstrip("/") + "/", each.kind) for each in facts.file_systems]
    mounts.sort(key=lambda mount: len(mount[0]))

    def kind(path: str) -> str:
        # Of several mounts at one point, the last lies on top.
        return next((kind for point, kind in reversed(mounts) if path.startswith(point)), "")

    return kind


def printable_text(path: str) -> str:
    """Return a path as records show it."""
    return printable(path.encode("utf-8", "surrogateescape"))
