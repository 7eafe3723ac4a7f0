# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out what vouches for the maintainer scripts that dpkg and rpm run, and so for what these start.

dpkg keeps scripts in /var/lib/dpkg/info, and records nothing of their content. It runs the ``preinst`` of a new version
from /var/lib/dpkg/tmp.ci, and debconf runs ``config`` from its own directory; both are gone afterwards. rpm writes each
scriptlet to a file /var/tmp/rpm-tmp.* and removes it, too.

Verified: the archive that apt keeps has the digest of a signed index, and the script that is there since before it ran
is the archive's. Claimed: a signed index has this version of the package, and the times of dpkg's files fit; or rpm
installed nothing but signed packages at that time. Root can set up what is claimed, so it is counted in the coverage.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._program import LIBRARY, SCRIPT, Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import is_folded
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution, Record
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.packages import archives
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import PackageDatabases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned, read_state
from ansible_collections.bulwark.servers.plugins.module_utils.packages.signed_index import SignedIndexes

VERIFIED, CLAIMED, CONTRADICTED, UNKNOWN = "verified", "claimed", "contradicted", "unknown"

INFO = "/var/lib/dpkg/info/"
_NEW = "/var/lib/dpkg/tmp.ci/"
_CONFIG = "/var/cache/debconf/tmp.ci/"
# Compared with what ran; nothing is written there.
_RPM = "/var/tmp/rpm-tmp."  # noqa: S108 - see above
_DIRECTORIES = (INFO, _NEW, _CONFIG, _RPM)
RPM_SUBJECT = "/var/tmp/rpm-tmp.*"  # noqa: S108 - a name for people

_NAME = r"([a-z0-9][a-z0-9+.-]*)"
_SCRIPT = re.compile(re.escape(INFO) + _NAME + r"(?::([a-z0-9-]+))?\.(preinst|postinst|prerm|postrm|config)\Z")
_NEW_SCRIPT = re.compile(re.escape(_NEW) + r"(preinst|postinst|prerm|postrm)\Z")
_NEW_CONFIG = re.compile(re.escape(_CONFIG) + _NAME + r"\.config\.\w{6}\Z")
_RPM_SCRIPT = re.compile(re.escape(_RPM) + r"\w{6}\Z")

# In the program and in what was executed, as in the log, of a process above what a script started.
_RPM_PROGRAM = re.compile(rb"^\"/usr/(?:s?bin)/(?:rpm|dnf[\w-]*|microdnf|yum|zypper)\"$")
ANCESTORS = re.compile(
    rb"^\"/var/(?:lib/dpkg/(?:info|tmp\.ci)|cache/debconf/tmp\.ci)/|^\"/usr/sbin/dpkg-preconfigure\"$|"
    + _RPM_PROGRAM.pattern
)

# dpkg writes all files of a package in info/ when it unpacks it.
_TOGETHER = 60.0
# After preinst has run, the files of the package are unpacked; a large package on a slow disk.
_UNPACKING = 900.0
_NO_INDEX = "no signed repository index has the version that is installed"
_IMPORTED_KEY = "gpg-pubkey"
_SECONDS = 30.0
_MOST_PACKED = 512 * 1024 * 1024


class Provenance(t.NamedTuple):
    """The proof of a script. level: VERIFIED, CLAIMED, CONTRADICTED or UNKNOWN. package: name and version.

    subject: what a finding about the package's scripts is about. reason: why it is not verified or claimed.
    """

    level: str
    package: str
    subject: str
    reason: str = ""

    @property
    def by(self) -> str:
        """Return what the coverage calls it."""
        return "claimed by %s" % self.package if self.level == CLAIMED else self.package


class PackageScripts:
    """The maintainer scripts of one root. Databases are read when the first script is asked about."""

    def __init__(self, databases: PackageDatabases) -> None:
        self._root = databases.root
        self._databases = databases
        self._indexes = SignedIndexes(databases.root)
        self._archives = archives.KeptArchives(databases.root, 1, _MOST_PACKED)
        self._facts: dict[tuple[str, str, str], _Facts | None] = {}
        self._rpms: dict[int, Provenance] = {}
        self._lists: list[tuple[float, str]] | None = None
        self._scripts: set[str] = set()
        self._started: set[str] = set()
        self._seconds = 0.0

    def explain(self, execution: Execution) -> str:
        """Return which package brings or starts something by a script, "" where nothing vouches for it.

        Scripts that are removed after they ran have names of their own each time, so they are explained here.
        """
        process = execution.process
        own = self.of_process(execution.script, process, execution.time)
        if own is not None:
            return self._sentence(own, self._scripts)
        process = process.parent if process is not None else None
        while process is not None:
            provenance = self.of_process(_script_of(process), process, execution.time)
            if provenance is not None:
                return self._sentence(provenance, self._started)
            process = process.parent
        return ""

    def is_script(self, sentence: str, program: Program) -> bool:
        """Say whether ``explain`` said it of a script itself, and a program is one, or stands for a directory of some.

        The interpreter of the script has the same explanation.
        """
        is_one = program.path.startswith(_DIRECTORIES) or is_folded(program.path)
        return sentence in self._scripts and program.kind == SCRIPT and is_one

    def is_started(self, sentence: str) -> bool:
        """Say whether ``explain`` said it of what a script started, or of the interpreter of one."""
        return sentence in self._started or sentence in self._scripts

    def of_record(self, record: Record) -> Provenance | None:
        """Return what vouches for a script that was observed; None for what is no maintainer script of this host."""
        program = record.program
        if program.image or program.kind == LIBRARY:
            return None
        process = record.newest.process if record.newest is not None else None
        return self.of_process(program.path, process, record.last)

    def vouches_for(self, record: Record) -> bool:
        """Say whether a program is a script of a package, or stands for such scripts, that something vouches for."""
        program, sentences = record.program, record.explanations
        if sentences and record.newest_unexplained is None and all(self.is_script(by, program) for by in sentences):
            return True
        provenance = self.of_record(record)
        return provenance is not None and provenance.level in (VERIFIED, CLAIMED)

    def of_process(self, path: str, process: Process | None, timestamp: float) -> Provenance | None:
        """Return what vouches for a script that a process ran; None for what is no maintainer script.

        Everybody can give a script the name of a scriptlet, so rpm must have started it.
        """
        provenance = self.provenance(path, timestamp)
        if provenance is not None and provenance.subject == RPM_SUBJECT and not _is_of_rpm(process):
            return None
        return provenance

    def _sentence(self, provenance: Provenance, known: set[str]) -> str:
        if provenance.level not in (VERIFIED, CLAIMED):
            return ""
        by = provenance.by
        sentence = "%s, by its own script" % by if known is self._scripts else by
        known.add(sentence)
        return sentence

    def provenance(self, path: str, timestamp: float) -> Provenance | None:
        """Return what vouches for a script that ran at a time; None for what is no maintainer script.

        path: printable. timestamp: seconds since the epoch.
        """
        if not path.startswith(_DIRECTORIES):
            return None
        started = time.monotonic()
        try:
            return self._provenance(path, timestamp, self._seconds > _SECONDS)
        except OSError as error:
            return _unknown("dpkg", path, "dpkg's files can't be read (%s)" % error.strerror)
        finally:
            self._seconds += time.monotonic() - started

    def _provenance(self, path: str, timestamp: float, is_late: bool) -> Provenance | None:
        if _RPM_SCRIPT.match(path):
            return _unknown("rpm", RPM_SUBJECT, "no time was left") if is_late else self._of_rpm(timestamp)
        script = _SCRIPT.match(path)
        if script is not None:
            name, arch, kind = script.group(1), script.group(2) or "", script.group(3)
            return self._of_dpkg(name, arch, kind, timestamp, False, is_late)
        config = _NEW_CONFIG.match(path)
        if config is not None:
            return self._of_dpkg(config.group(1), "", "config", timestamp, True, is_late)
        new = _NEW_SCRIPT.match(path)
        if new is None:
            return None
        stem = self._unpacked_next(new.group(1), timestamp)
        if stem is None:
            return _unknown("dpkg", path, "no package was unpacked after it ran")
        name, _colon, arch = stem.partition(":")
        return self._of_dpkg(name, arch, new.group(1), timestamp, True, is_late)

    def _of_dpkg(self, name: str, arch: str, kind: str, timestamp: float, is_copy: bool, is_late: bool) -> Provenance:
        """Return what vouches for a script of a package. is_copy: it ran from a file that was removed."""
        subject = "%s%s.postinst" % (INFO, name)
        key = name, arch, kind
        if key not in self._facts:
            if is_late:
                return _unknown(name, subject, "no time was left to verify it")
            try:
                self._facts[key] = self._read(name, arch, kind)
            except (OSError, ValueError):
                self._facts[key] = None
        facts = self._facts[key]
        if facts is None:
            is_installed = bool(self._databases.installed(name))
            return _unknown(
                name, subject, _NO_INDEX if is_installed else "the package is not installed, or not any more"
            )
        if facts.since > timestamp:
            return _unknown(facts.label, subject, "the key of its repository came later than it ran")
        if not is_copy and facts.changed <= timestamp + 1:
            if facts.is_of_archive is not None:
                level = VERIFIED if facts.is_of_archive else CONTRADICTED
                return Provenance(level, facts.label, subject, "" if facts.is_of_archive else "its package has another")
            if facts.changed <= facts.listed + _TOGETHER:
                return Provenance(CLAIMED, facts.label, subject)
            return _unknown(facts.label, subject, "it was written after dpkg unpacked its package")
        if facts.listed >= timestamp - _TOGETHER:
            return Provenance(CLAIMED, facts.label, subject)
        return _unknown(facts.label, subject, "it is gone, or was written after it ran, and dpkg unpacked nothing")

    def _read(self, name: str, arch: str, kind: str) -> _Facts | None:
        """Return what is known of a script of a package that a signed index has; None for other packages."""
        for package in self._databases.installed(name):
            entry = self._indexes.entry(package.name, package.version, package.arch)
            if entry is None or arch not in ("", package.arch):
                continue
            owned = Owned.of(package)
            stem = next((each for each in ("%s:%s" % (name, package.arch), name) if self._exists(each)), name)
            path = self._place("%s%s.%s" % (INFO, stem, kind))
            control = self._archives.control(package.name, package.version, package.arch, entry.sha256)
            is_of_archive = None
            try:
                changed = os.lstat(path).st_ctime
                if control:
                    digests = [hashlib.sha256(text).digest() for text in (read_state(path), control.get(kind, b""))]
                    is_of_archive = digests[0] == digests[1]
            except FileNotFoundError:
                changed = float("inf")
            if control is False:
                return None
            listed = os.lstat(self._place("%s%s.list" % (INFO, stem))).st_ctime
            return _Facts(owned.label, entry.since, changed, listed, is_of_archive)
        return None

    def _exists(self, stem: str) -> bool:
        return os.path.lexists(self._place("%s%s.list" % (INFO, stem)))

    def _place(self, path: str) -> bytes:
        return os.path.join(self._root, os.fsencode(path.lstrip("/")))

    def _unpacked_next(self, kind: str, timestamp: float) -> str | None:
        """Return which package with such a script was unpacked first after a time, as its files in info/ begin."""
        if self._lists is None:
            with os.scandir(os.fsdecode(self._place(INFO))) as entries:
                lists = [each for each in entries if each.name.endswith(".list")]
                times = [(each.stat(follow_symlinks=False).st_ctime, each.name[: -len(".list")]) for each in lists]
            self._lists = sorted(times)
        for changed, stem in self._lists:
            is_near = timestamp - 1 <= changed <= timestamp + _UNPACKING
            if is_near and os.path.lexists(self._place("%s%s.%s" % (INFO, stem, kind))):
                return stem
        return None

    def _of_rpm(self, timestamp: float) -> Provenance:
        """Return what vouches for a scriptlet of rpm: what was installed about then, if all of it is signed."""
        period = int(timestamp // _UNPACKING)
        if period not in self._rpms:
            first, last = (period - 1) * _UNPACKING, (period + 2) * _UNPACKING
            installed = [package for installed, package in self._rpm_times if first <= installed <= last]
            self._rpms[period] = self._of_rpms(installed, timestamp)
        return self._rpms[period]

    @functools.cached_property
    def _rpm_times(self) -> list[tuple[float, Owned]]:
        return self._databases.rpm_times()

    def _of_rpms(self, installed: t.Sequence[Owned], timestamp: float) -> Provenance:
        # A key that was imported is listed as a package, and has no scriptlets.
        packages = [each for each in installed if each.package != _IMPORTED_KEY]
        unsigned = [each for each in packages if not self._is_signed(each, timestamp)]
        if not packages:
            return _unknown("rpm", RPM_SUBJECT, "rpm installed no package then")
        if unsigned:
            return _unknown("rpm", RPM_SUBJECT, "%s has no signature that verifies" % unsigned[0].label)
        return Provenance(CLAIMED, packages[0].label, RPM_SUBJECT)

    def _is_signed(self, package: Owned, timestamp: float) -> bool:
        since = self._databases.signed_since(package)
        return since is not None and since <= timestamp


class _Facts(t.NamedTuple):
    """A script in info/. label: of its package. since: from when on the key of the repository vouches for anything.

    changed: when the script was written, infinite where there is none. listed: when dpkg unpacked the package.
    is_of_archive: whether it is the script of the signed archive, None where apt keeps none.
    """

    label: str
    since: float
    changed: float
    listed: float
    is_of_archive: bool | None


def _script_of(process: Process) -> str:
    """Return the script that a process runs, printable; rpm gives that of a scriptlet to a shell as an argument."""
    original = activity.process_original(process)
    if _is_of_rpm(process):
        original = next(iter(activity.process_arguments(process)[1:2]), original)
    return printable(original)


def _is_of_rpm(process: Process | None) -> bool:
    """Say whether rpm, or a program that uses its library, started a process."""
    parent = process.parent if process is not None else None
    return parent is not None and any(_RPM_PROGRAM.search(name) for name in (parent.exe, parent.original))


def _unknown(package: str, subject: str, reason: str) -> Provenance:
    return Provenance(UNKNOWN, package, subject, reason)
