# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a program by an allowlist. Pure: the look on a host and the dry run on the controller share it.

Exceptions count first, then rules. A rule about content (package, sha256) counts only for content that is known to be
what ran: not for a file that is gone, or that was written after it ran.
"""

from __future__ import annotations

import fnmatch
import glob
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    CHANGED,
    GONE,
    LIBRARY,
    MEMORY,
    MODIFIED,
    NO_DIGEST,
    PROGRAM,
    SCRIPT,
    VERIFIED,
    Program,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import (
    Allowlist,
    Exemption,
    Rule,
    Verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import OTHER_ROOT

CHANGED_ALERT = "app_changed_program"
UNAPPROVED_ALERTS = {
    PROGRAM: "app_unapproved_program",
    SCRIPT: "app_unapproved_script",
    LIBRARY: "app_unapproved_library",
}
STOPPED_ALERT = "app_allowed_program_stopped"
# Why a program that the collection leaves on hosts may run.
OWN = "a program of the collection"
# Of a program whose content now is allowed, while it is unknown what content ran.
DOUBT_SEVERITY = "low"
_NOT_OF_WHAT_RAN = (CHANGED, GONE)


def judge(program: Program, users: t.Collection[str], allowlist: Allowlist, now: float) -> Verdict:
    """Return the verdict of one program. Whoever judges many makes one ``Judge``."""
    return Judge(allowlist, now).judge(program, users)


def subject(program: Program) -> str:
    """Return what findings and exceptions call a program: its path, with the image of a container before it."""
    return "%s: %s" % (program.image, program.path) if program.image else program.path


class Judge:
    """Judges programs by one allowlist. now: seconds since the epoch, for exceptions that end."""

    def __init__(self, allowlist: Allowlist, now: float) -> None:
        self._exemptions = [each for each in allowlist.exemptions if each.until is None or now < each.until]
        self._packages: dict[tuple[str, str, str], list[Rule]] = {}
        self._directories: dict[tuple[str, str], Rule] = {}
        self._digests: dict[tuple[str, str], list[Rule]] = {}
        self._paths: set[tuple[str, str]] = set()
        self._images = {""}
        for rule in allowlist.rules:
            self._images.add(rule.image)
            if rule.package:
                self._packages.setdefault((rule.image, rule.manager, rule.package), []).append(rule)
            elif rule.directory:
                self._directories.setdefault((rule.image, rule.directory), rule)
            else:
                self._digests.setdefault((rule.image, rule.sha256), []).append(rule)
                if rule.path:
                    self._paths.add((rule.image, rule.path))

    def is_judged(self, program: Program) -> bool:
        """Say whether there are rules for where a program runs. Every container image needs rules of its own."""
        return program.image in self._images

    def judge(self, program: Program, users: t.Collection[str], is_doubted: bool = False) -> Verdict:
        """Return the verdict of a program, allowed where ``is_judged`` is false.

        users: all that ran it. is_doubted: its content changed while the version of its package did not, so that
        nothing that its package says counts.
        """
        if not self.is_judged(program):
            return Verdict(True, "no allowlist has rules for containers of %s" % program.image)
        exemption = self._exemption(program, users)
        if exemption is not None:
            return Verdict(True, "exception by %s: %s" % (exemption.by, exemption.reason))
        by_content = self._by_digest(program) or (None if is_doubted else self._by_package(program))
        if by_content and program.content not in _NOT_OF_WHAT_RAN:
            return Verdict(True, by_content)
        by_directory = None if is_doubted else self._by_directory(program)
        if by_directory:
            return Verdict(True, by_directory)
        changed = self._why_changed(program, is_doubted)
        if changed:
            return Verdict(False, changed, CHANGED_ALERT)
        if by_content:
            since = "is gone" if program.content == GONE else "was written"
            doubt = "%s allows the content that was seen, but the file %s after it ran" % (by_content, since)
            return Verdict(False, doubt, CHANGED_ALERT, DOUBT_SEVERITY)
        return Verdict(False, self._why_unapproved(program), UNAPPROVED_ALERTS[program.kind])

    def _exemption(self, program: Program, users: t.Collection[str]) -> Exemption | None:
        """Return an exception that covers a program, whoever of its users ran it."""
        name = subject(program)
        covering = [each for each in self._exemptions if _covers(each, program, name)]
        for each in covering:
            if not each.user:
                return each
        of_users = {each.user: each for each in covering}
        if users and all(user in of_users for user in users):
            return of_users[min(users)]
        return None

    def _by_digest(self, program: Program) -> str | None:
        """Return the sha256 rule that has a program's content."""
        for rule in self._digests.get((program.image, program.sha256), ()) if program.sha256 else ():
            if rule.path in ("", program.path):
                return "the sha256 rule of %s" % rule.role
        return None

    def _by_package(self, program: Program) -> str | None:
        """Return the package rule that covers a program that is as its package says."""
        for rule in self._rules_of_package(program):
            is_unverified = program.verification == NO_DIGEST and rule.allow_unverified
            is_as_packaged = program.verification == VERIFIED or is_unverified
            if is_as_packaged and rule.origin in ("", program.origin) and not _is_excepted(program, rule):
                return "package %s of %s" % (rule.package, rule.role)
        return None

    def _rules_of_package(self, program: Program) -> t.Sequence[Rule]:
        return self._packages.get((program.image, program.manager, program.package), ()) if program.package else ()

    def _directory_rule(self, program: Program) -> Rule | None:
        if program.content == MEMORY:
            return None
        above = program.path.rpartition("/")[0]
        while above:
            rule = self._directories.get((program.image, above))
            if rule is not None:
                return rule
            above = above.rpartition("/")[0]
        return None

    def _by_directory(self, program: Program) -> str | None:
        """Return the rule for a directory above a program, as long as it is known that only root can write there."""
        rule = self._directory_rule(program) if program.owner and not program.writers else None
        return (
            None if rule is None or _is_excepted(program, rule) else "directory %s of %s" % (rule.directory, rule.role)
        )

    def _why_changed(self, program: Program, is_doubted: bool) -> str:
        """Return why a program is not what the allowlist has under its name, "" where that can't be said."""
        if is_doubted:
            return "its content changed, and the version of its package %s did not" % program.package
        if program.verification == MODIFIED and self._rules_of_package(program):
            return "its content is not what its package %s %s ships" % (program.package, program.version)
        if any(_is_excepted(program, rule) for rule in self._rules_of_package(program)):
            return "its content is not what other hosts have of its package %s %s" % (program.package, program.version)
        if program.sha256 and (program.image, program.path) in self._paths and not self._by_digest(program):
            return "a sha256 rule for this path has another content"
        return ""

    def _why_unapproved(self, program: Program) -> str:
        if program.content == MEMORY:
            return "it ran from memory, without a file"
        reasons = []
        rules = self._rules_of_package(program)
        if program.path.startswith(OTHER_ROOT + "/"):
            reasons.append("it ran in another root directory or mount namespace")
        elif not program.package:
            reasons.append("it belongs to no package")
        elif not rules:
            reasons.append("no allowlist has its package %s" % program.package)
        elif program.verification == NO_DIGEST:
            reasons.append("its package %s records no digest of it" % program.package)
        elif program.verification == VERIFIED:
            reasons.append("its package %s is not from %s" % (program.package, rules[0].origin))
        else:
            reasons.append("it could not be compared with its package %s" % program.package)
        rule = self._directory_rule(program)
        if rule is not None and _is_excepted(program, rule):
            reasons.append("the rule for %s leaves out this content" % rule.directory)
        elif rule is not None:
            who = (
                "%s can write there" % ", ".join(program.writers)
                if program.writers
                else "it is unknown who can write there"
            )
            reasons.append("the rule for %s does not count, as %s" % (rule.directory, who))
        if program.content == GONE:
            reasons.append("the file is gone")
        elif program.content == CHANGED:
            reasons.append("the file was written after it ran")
        return ", and ".join(reasons)


def _is_excepted(program: Program, rule: Rule) -> bool:
    return bool(program.sha256) and program.sha256 in rule.except_sha256


def _covers(exemption: Exemption, program: Program, name: str) -> bool:
    if exemption.program != name and not fnmatch.fnmatchcase(name, exemption.program):
        return False
    if exemption.sha256:
        return exemption.sha256 == program.sha256 and program.content not in _NOT_OF_WHAT_RAN
    # Whoever makes a memory file chooses its name, so that a pattern would cover more than was thought of.
    return program.content != MEMORY or exemption.program in (name, glob.escape(name))
