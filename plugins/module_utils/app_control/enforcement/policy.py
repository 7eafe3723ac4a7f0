# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy for fapolicyd: what of a host's allowlist it enforces, and what it can't. Pure.

Trust lines name single files by path, size and content. Libraries of every installed package are trusted as far as they
are as packaged, and so are the packages that an allowed one depends on: nobody lists them, and an upgrade that adds one
must not break what is allowed. So what is enforced is a bit wider than what the look reports.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import NO_DIGEST, VERIFIED
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import rule_lines
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import (
    LIBRARY,
    Facts,
    HostFile,
    Options,
    PackageName,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.paths import unprintable_text
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import leases, trust, versions
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import rules as rule_files
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

AUDIT, REHEARSE, ENFORCE = MODES = ("audit", "rehearse", "enforce")


class Unexpressed(t.NamedTuple):
    """A rule or exception that fapolicyd can't enforce. what: the entry in words; why: the rest of the sentence."""

    what: str
    why: str


class Policy(t.NamedTuple):
    """All that is deployed.

    mode: REHEARSE (fapolicyd decides, logs and lets everything pass) or ENFORCE. rules: lines of our file in rules.d,
    in their order. trusted: lines of our file in trust.d, by path. settings: of fapolicyd.conf, those that we change.
    unexpressed: named, and not deployed.
    """

    mode: str
    rules: tuple[str, ...]
    trusted: tuple[Trusted, ...]
    settings: t.Mapping[str, str]
    unexpressed: tuple[Unexpressed, ...] = ()


class Blocked(t.NamedTuple):
    """A program that ran and that the policy would stop. path: printable; last: seconds since the epoch."""

    path: str
    kind: str
    why: str
    last: float


# Watched whether they are mounted now or not, so that what is deployed stays the same when a stick is plugged in.
_WATCHED = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "vfat", "exfat", "iso9660", "udf")
)
# Mounts of containers and of the kernel: fapolicyd sees nothing there.
_UNWATCHED = frozenset(("overlay", "rootfs", "ramfs"))
# To mark whole file systems instead would let every account that can make a user namespace show a program under another
# name there, after which fapolicyd refuses it under its own, to everybody (it keeps decisions by inode).
# rpm-plugin-fapolicyd has the daemon load its trust anew after each transaction: without rpmdb, nothing that an upgrade
# brought would run, sshd included.
_RPM_TRUST = "fapolicyd trusts all that rpm's database has, so that upgrades pass"
# MB for the database's files, as in the configuration that distributions ship.
_RPM_SIZE = 100
_NAMESPACES = (
    "fapolicyd watches the mounts of the host, and not those of sandboxed services, user namespaces and containers"
)
# It compares size and time with those that it knows, and reads no content again where they are the same.
_UNSEEN = "%s can write it, and change it without fapolicyd noticing"
# Waiting accesses, of which it refuses what is beyond, to everybody, while every account can have so many processes; it
# also ends itself then. The daemon's own number is 800.
QUEUE = "8192"
# The trust database: bytes of an entry beside its path, how full its pages are, and the smallest size, in MB.
_ENTRY, _FILL, _LEAST = 112, 0.45, 50


def compile_policy(allowlist: Allowlist, facts: Facts, options: Options) -> Policy:
    """Return what enforces an allowlist on a host."""
    return _Compiler(allowlist, facts, options).compile()


def database_size(trusted: t.Sequence[Trusted]) -> int:
    """Return a db_max_size (MB) with room for entries, twice: an update writes the new ones beside the old ones."""
    size = sum(len(entry.path.encode("utf-8", "surrogateescape")) + _ENTRY for entry in trusted)
    return max(_LEAST, int(2 * size / _FILL / 1_000_000) + 8)


class _Compiler:
    def __init__(self, allowlist: Allowlist, facts: Facts, options: Options) -> None:
        self._allowlist = allowlist
        self._facts = facts
        self._options = options
        self._features = versions.features(facts.version)
        self._has_spaces = self._features is None or self._features.spaces_in_trust
        self._unexpressed: list[Unexpressed] = []
        self._rules: dict[PackageName, list[Rule]] = {}
        for rule in allowlist.rules:
            if rule.package and not rule.image:
                self._rules.setdefault((rule.manager, rule.package), []).append(rule)
        # Whoever edits the digests of a package makes any content verified.
        self._doubted = {
            unprintable_text(record.program.path)
            for record in facts.records
            if record.genuine is not None and not record.program.image
        }

    def compile(self) -> Policy:
        trusted = self._trusted()
        allowing = [*self._by_digest(), *self._by_directory(), *self._by_exemption(trusted)]
        lines = rule_lines.assemble(self._facts, allowing, self._named())
        for clause in self._features.lacking if self._features is not None else ():
            self._leave_out("fapolicyd %s" % self._facts.version, clause)
        self._leave_out("programs in mount namespaces of their own", _NAMESPACES)
        if self._facts.has_leases:
            self._leave_out("delays by accounts that hold leases on files", leases.NOTE)
        entries = tuple(trusted[path] for path in sorted(trusted))
        is_rpm = {manager for manager, _name in self._facts.essential_packages} == {"rpm"}
        if is_rpm:
            self._leave_out("a choice among the packages of rpm", _RPM_TRUST)
        settings = {
            "permissive": "0" if self._options.mode == ENFORCE else "1",
            "trust": "rpmdb,file" if is_rpm else "file",
            "integrity": "sha256",
            "watch_fs": ",".join(watched(self._facts, self._options)),
            "q_size": QUEUE,
            "db_max_size": str(database_size(entries) + (_RPM_SIZE if is_rpm else 0)),
        }
        if self._features is not None and self._features.marks_file_systems:
            settings["allow_filesystem_mark"] = "0"
        return Policy(self._options.mode, tuple(lines), entries, settings, tuple(self._unexpressed))

    def _named(self) -> t.Iterator[str]:
        """Yield the paths and directories that rules name, and exceptions for everybody."""
        for rule in self._allowlist.rules:
            if not rule.image and (rule.path or rule.directory):
                yield unprintable_text(rule.path or rule.directory + "/")
        for exemption in self._allowlist.exemptions:
            if exemption.program.startswith("/") and not exemption.user and not exemption.is_pattern:
                yield unprintable_text(exemption.program)

    def _trusted(self) -> dict[str, Trusted]:
        trusted: dict[str, Trusted] = {}
        closure = self._closure()
        for file in self._facts.files:
            if self._is_trusted(file, closure):
                self._add(trusted, file)
        for file in self._facts.scripts:
            self._add(trusted, file)
        for essential in self._facts.essentials:
            if essential.file is not None and self._is_as_packaged(essential.file):
                self._add(trusted, essential.file)
        for rule in self._allowlist.rules:
            named = self._facts.named.get(unprintable_text(rule.path)) if rule.sha256 and not rule.image else None
            if named is not None and named.sha256 == rule.sha256 and not named.writers:
                self._add(trusted, named)
        return trusted

    def _add(self, trusted: dict[str, Trusted], file: HostFile) -> None:
        if trust.is_expressible(file.path, self._has_spaces):
            trusted[file.path] = file.trusted
        else:
            self._leave_out(file.path, "no trust file of this fapolicyd can name such a path")

    def _closure(self) -> set[PackageName]:
        """Return the packages of rules and of the way back in, with all that they depend on."""
        pending = [*self._rules, *self._facts.essential_packages]
        closure: set[PackageName] = set()
        while pending:
            package = pending.pop()
            if package not in closure:
                closure.add(package)
                pending += self._facts.depends.get(package, ())
        return closure

    def _is_trusted(self, file: HostFile, closure: t.Container[PackageName]) -> bool:
        rules = self._rules.get((file.manager, file.package), ())
        if not self._is_as_packaged(file):
            return False
        if (file.manager, file.package) in self._facts.essential_packages or file.kind == LIBRARY:
            return True
        if rules:
            return any(rule.origin in ("", file.origin) for rule in rules)
        return (file.manager, file.package) in closure

    def _is_as_packaged(self, file: HostFile) -> bool:
        """Say whether a file is what its package ships, as far as that is known and believed."""
        rules = self._rules.get((file.manager, file.package), ())
        if file.path in self._doubted or any(file.sha256 in rule.except_sha256 for rule in rules):
            return False
        is_reviewed = file.verification == NO_DIGEST and any(rule.allow_unverified for rule in rules)
        return file.verification == VERIFIED or is_reviewed

    def _by_digest(self) -> t.Iterator[str]:
        """Yield the rules for contents that no trust line names."""
        for rule in self._allowlist.rules:
            if rule.image:
                self._leave_out(_words(rule), "fapolicyd does not watch containers")
            elif rule.sha256 and not rule.path:
                yield from rule_lines.by_content(rule.sha256)
                self._leave_out(_words(rule), _UNSEEN % "outside of directories of root's, whoever")
            elif rule.sha256:
                path = unprintable_text(rule.path)
                named = self._facts.named.get(path)
                if named is not None and named.writers:
                    self._leave_out(_words(rule), _UNSEEN % ", ".join(named.writers))
                elif named is not None and named.sha256 == rule.sha256:
                    continue
                elif rule_files.is_value(path):
                    yield rule_lines.by_path(path, rule.sha256)
                else:
                    self._leave_out(_words(rule), "no rule of fapolicyd can name such a path")

    def _by_directory(self) -> t.Iterator[str]:
        for rule in self._allowlist.rules:
            if not rule.directory or rule.image:
                continue
            path = unprintable_text(rule.directory)
            writers = self._facts.directories.get(path, ("nobody knows who",))
            if rule.except_sha256:
                self._leave_out(_words(rule), "fapolicyd can't leave out contents that the rule does not cover")
            elif writers:
                self._leave_out(_words(rule), "%s can write there" % ", ".join(writers))
            elif not rule_files.is_value(path):
                self._leave_out(_words(rule), "no rule of fapolicyd can name such a path")
            else:
                yield rule_lines.by_directory(path)

    def _by_exemption(self, trusted: dict[str, Trusted]) -> t.Iterator[str]:
        for exemption in self._allowlist.exemptions:
            what = "the exception for %s" % exemption.program
            path = unprintable_text(exemption.program)
            if exemption.until is not None and exemption.until <= self._facts.now:
                self._leave_out(what, "it has ended")
            elif not exemption.program.startswith("/"):
                self._leave_out(what, "fapolicyd does not watch containers")
            elif exemption.is_pattern:
                self._leave_out(what, "fapolicyd has no patterns")
            elif exemption.user and exemption.user not in self._facts.users:
                self._leave_out(what, "there is no account %s" % exemption.user)
            else:
                yield from self._of_exemption(exemption, path, what, trusted)

    def _of_exemption(self, exemption: Exemption, path: str, what: str, trusted: dict[str, Trusted]) -> t.Iterator[str]:
        named = self._facts.named.get(path)
        if not exemption.sha256 and (named is None or named.writers):
            who = "nobody has it" if named is None else "%s can write it" % ", ".join(named.writers)
            self._leave_out(what, "it names no content, and %s" % who)
        elif named is not None and named.writers:
            self._leave_out(what, _UNSEEN % ", ".join(named.writers))
        elif not exemption.user and exemption.sha256 and named is not None and named.sha256 == exemption.sha256:
            self._add(trusted, named)
        elif not rule_files.is_value(path):
            self._leave_out(what, "no rule of fapolicyd can name such a path")
        elif exemption.user:
            for subject in rule_lines.subjects(self._facts.users[exemption.user]):
                yield rule_lines.by_path(path, exemption.sha256, subject)
        else:
            yield rule_lines.by_path(path, exemption.sha256)

    def _leave_out(self, what: str, why: str) -> None:
        self._unexpressed.append(Unexpressed(what, why))


def watched(facts: Facts, options: Options) -> list[str]:
    """Return the types of file systems that fapolicyd shall watch."""
    return sorted(options.file_systems or (_WATCHED | {each.kind for each in facts.file_systems}) - _UNWATCHED)


def _words(rule: Rule) -> str:
    """Return a rule in words."""
    kind, value = next(
        (kind, getattr(rule, kind)) for kind in ("package", "directory", "sha256") if getattr(rule, kind)
    )
    where = " of image %s" % rule.image if rule.image else ""
    return "the %s rule for %s%s of %s" % (kind, rule.path or value, where, rule.role)
