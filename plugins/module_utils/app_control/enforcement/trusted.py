# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a policy is made of: packages, remembered programs, this connection's own way, and the file systems."""

from __future__ import annotations

import os
import pwd
import re
import stat
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import is_foreign
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content as travelling
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import digest_cache, essentials
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import (
    EXECUTABLE,
    Connection,
    Essential,
    Facts,
    FileSystem,
    HostFile,
    PackageName,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.host_files import (
    HostFiles,
    UnreadableError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.special_programs import (
    is_loader,
    is_reader,
    languages,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.files import SIGNED
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.host import distribution
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import CAPABILITY, NAME
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.paths import unprintable_text
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.remembered import Memory
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import leases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files as PackagedFiles
from ansible_collections.bulwark.servers.plugins.module_utils.packages.signed_index import SignedIndexes

_SCRIPTS = b"/var/lib/dpkg/info"
_SCRIPT = re.compile(rb"\.(?:preinst|postinst|prerm|postrm|config)$")
_MOST_BELOW = 200_000
_MOST_NOTES = 50
_MOST_COPIES = 20_000


def facts(
    params: t.Mapping[str, t.Any], content: t.Mapping[str, t.Any], version: str = "", keeps_digests: bool = False
) -> Facts:
    """Return the facts of this host. params: of the module; content: the allowlist as it travelled.

    version: of the installed fapolicyd. keeps_digests: whether those of files are kept for the next run. params may
    have ``_token``, the checkpoint of the scan in the store, and ``_connection``. Raises StateError, HostError, and
    KeyError or TypeError for content that ``as_data`` did not make.
    """
    root = os.fsencode(params.get("_root") or "/")
    allowlist = travelling.allowlist(content, distribution())
    state_dir = params.get("state_dir")
    collector = _Collector(root, allowlist, digest_cache.read(state_dir))
    records, days = _remembered(params)
    way = params.get("_connection") or {}
    files = collector.files()
    named = collector.named()
    used = collector.used() if root == b"/" else ()
    scripts = collector.scripts()
    if keeps_digests:
        digest_cache.write(state_dir, collector.read_digests())
    programs = {file.path for file in files if file.kind == EXECUTABLE} | set(named)
    programs |= {unprintable_text(record.program.interpreter) for record in records if record.program.interpreter}
    pythons = {each.path for each in used if "python" in languages(each.path)}
    pythons |= {path for path in programs if "python" in languages(path) and path.startswith("/usr/")}
    by_language: dict[str, list[str]] = {}
    for path in sorted(programs | pythons):
        for language in languages(path):
            by_language.setdefault(language, []).append(path)
    return Facts(
        files=tuple(files),
        named=named,
        scripts=scripts,
        depends=collector.depends(),
        essential_packages=collector.essential_packages(),
        essentials=tuple(used),
        directories=collector.directories(),
        interpreters={language: tuple(paths) for language, paths in by_language.items()},
        readers=tuple(sorted(path for path in programs if is_reader(path))),
        pythons=tuple(sorted(pythons)),
        loaders=tuple(sorted(file.path for file in files if is_loader(file.path))),
        users=_users(allowlist, records),
        records=records,
        observed_days=days,
        file_systems=file_systems(),
        version=version,
        connection=_connection(way),
        now=time.time(),
        notes=tuple(collector.notes[:_MOST_NOTES]),
        protects_hard_links=_protects_hard_links(),
        has_leases=leases.are_possible(),
        earlier=tuple(map(_connection, way.get("earlier") or ())),
    )


def file_systems() -> tuple[FileSystem, ...]:
    """Return the mounts of this machine's own file systems from which something can be executed."""
    try:
        lines = _mountinfo.lines(_mountinfo.own())
    except OSError:
        return ()
    return tuple(
        FileSystem(os.fsdecode(line.point), line.mount.kind)
        for line in lines
        if not is_foreign(line.mount.kind) and b"noexec" not in line.options.split(b",")
    )


def _protects_hard_links() -> bool:
    """Say what the kernel does about links to files that whoever makes them can't write (proc_sys_fs(5))."""
    try:
        with open("/proc/sys/fs/protected_hardlinks", "rb") as stream:
            return stream.read(8).strip() != b"0"
    except OSError:
        return True


class _Collector:
    """Reads the files of one host. notes: sentences about what could not be read."""

    def __init__(self, root: bytes, allowlist: Allowlist, known: digest_cache.Digests) -> None:
        self._root = root
        self._allowlist = allowlist
        self._packages = PackagedFiles(root, known)
        self._host_files = HostFiles(self._packages, root)
        self._indexes = SignedIndexes(root)
        self._origins: dict[tuple[str, str], str] = {}
        self._depends: dict[PackageName, set[PackageName]] | None = None
        self.notes: list[str] = []

    def read_digests(self) -> digest_cache.Digests:
        return self._packages.read_digests()

    def files(self) -> list[HostFile]:
        """Return all that packages own and that can run, each path once; one that is as packaged before others."""
        by_path: dict[str, HostFile] = {}
        with_origin = {(rule.manager, rule.package) for rule in self._allowlist.rules if rule.package and rule.origin}
        for path, owned in self._packages.packages.owned_files(self._host_files.is_wanted):
            try:
                file = self._host_files.of_package(path, owned)
            except UnreadableError as problem:
                self.notes.append("%s can't be trusted: %s" % (printable(path), problem))
                continue
            if file is None:
                continue
            if (file.manager, file.package) in with_origin:
                file = file._replace(origin=self._origin(owned))
            known = by_path.get(file.path)
            if known is None or known.verification != "verified":
                by_path[file.path] = file
        for file in self._copies():
            by_path.setdefault(file.path, file)
        return [by_path[path] for path in sorted(by_path)]

    def _copies(self) -> t.Iterator[HostFile]:
        """Yield executables below /etc that scripts of packages copied there."""
        root = self._root.rstrip(b"/")
        number = 0
        for above, _directories, names in os.walk(root + b"/etc"):
            for name in names:
                number += 1
                path = os.path.join(above, name)[len(root) :]
                if number > _MOST_COPIES:
                    return
                try:
                    file = self._host_files.copy(path)
                except UnreadableError:
                    continue
                if file is not None and file.kind == EXECUTABLE:
                    yield file

    def _origin(self, owned: t.Any) -> str:
        key = (owned.key, owned.version)
        if key not in self._origins:
            if owned.manager == "rpm":
                self._origins[key] = min(self._packages.packages.signing_keys(owned), default="")
            else:
                entry = self._indexes.entry(owned.package, owned.version, owned.arch)
                self._origins[key] = SIGNED if entry is not None else ""
        return self._origins[key]

    def named(self) -> dict[str, HostFile]:
        """Return the files that sha256 rules and exceptions name by path, by the kernel's name and by that."""
        paths = {unprintable_text(rule.path) for rule in self._allowlist.rules if rule.path and not rule.image}
        for exemption in self._allowlist.exemptions:
            if exemption.program.startswith("/") and not exemption.is_pattern:
                paths.add(unprintable_text(exemption.program))
        files = {}
        for path in sorted(paths):
            file = self._named(os.fsencode(path))
            if file is not None:
                files[path] = files[file.path] = file
        return files

    def _named(self, path: bytes) -> HostFile | None:
        try:
            return self._host_files.named(path)
        except UnreadableError as problem:
            self.notes.append("%s can't be trusted: %s" % (printable(path), problem))
            return None

    def scripts(self) -> tuple[HostFile, ...]:
        """Return the maintainer scripts that dpkg keeps; no digest of them is recorded."""
        try:
            names = sorted(os.listdir(self._root.rstrip(b"/") + _SCRIPTS))
        except OSError:
            return ()
        paths = [_SCRIPTS + b"/" + name for name in names if _SCRIPT.search(name)]
        return tuple(file for file in map(self._named, paths) if file is not None and not file.writers)

    def depends(self) -> dict[PackageName, set[PackageName]]:
        if self._depends is None:
            try:
                self._depends = self._packages.packages.dependencies()
            except OSError as error:
                self.notes.append("Dependencies of packages can't be read: %s" % error)
                self._depends = {}
        return self._depends

    def essential_packages(self) -> dict[PackageName, str]:
        roles = {package: essentials.role(package[1]) for package in self.depends()}
        return {package: role for package, role in roles.items() if role}

    def used(self) -> t.Sequence[Essential]:
        """Return the files that this very connection uses, those aside that an upgrade or another root took away."""
        files = []
        for used in essentials.used_files():
            try:
                file = self._host_files.named(used.path)
            except UnreadableError as error:
                files.append(Essential(os.fsdecode(used.path), used.role, None, str(error)))
                continue
            if file is not None:
                files.append(Essential(file.path, used.role, file))
        return files

    def directories(self) -> dict[str, tuple[str, ...]]:
        """Return the directories of rules, as the kernel names them, with who can write in them or above them."""
        writers = {}
        for rule in self._allowlist.rules:
            if rule.directory and not rule.image:
                given = os.fsencode(unprintable_text(rule.directory))
                writers[os.fsdecode(given)] = self._directory_writers(given)
        return writers

    def _directory_writers(self, directory: bytes) -> tuple[str, ...]:
        root = self._root.rstrip(b"/")
        if os.path.realpath(root + directory) != os.path.normpath(root + directory):
            return ("whoever can change the link that it is",)
        writers = set(self._host_files.writers_above(directory + b"/."))
        number = 0
        for above, names, files in os.walk(root + directory):
            for name in (*names, *files):
                number += 1
                path = os.path.join(above, name)
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                if not stat.S_ISLNK(status.st_mode):
                    writers.update(self._host_files.writers_of(path[len(root) :], status))
                if writers or number > _MOST_BELOW:
                    return tuple(sorted(writers)) or ("nobody knows who, as it has more than %d files" % _MOST_BELOW,)
        return tuple(sorted(writers))


def _users(allowlist: Allowlist, records: t.Iterable[Record]) -> dict[str, int]:
    """Return the accounts of exceptions and of what ran: rules name them by number."""
    names = {exemption.user for exemption in allowlist.exemptions}
    accounts = {name: _account(name) for name in names.union(*(record.users for record in records))}
    return {name: account.pw_uid for name, account in accounts.items() if account is not None}


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None


def _remembered(params: t.Mapping[str, t.Any]) -> tuple[tuple[Record, ...], int]:
    """Return the programs that the last recorded scan remembers, and of how many days it knows every execution."""
    checkpoint = Checkpoint.load(params.get("state_dir"), NAME, params.get("_token"), False, directory=CAPABILITY)
    try:
        records = Memory.load(checkpoint.state.get("records", ())).records
        return tuple(records.values()), len(checkpoint.state.get("log", {}).get("days", ()))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return (), 0


def _connection(given: t.Mapping[str, t.Any]) -> Connection:
    """Return the way of a connection, of what the controller says of it; without accounts that are gone."""
    user, become = (_account(str(given.get(name) or "")) for name in ("remote_user", "become_user"))
    temporary = str(given.get("remote_tmp") or "~/.ansible/tmp")
    if temporary.startswith("~"):
        temporary = (user.pw_dir if user is not None else "/root") + temporary[1:]
    return Connection(
        os.path.realpath(temporary) if temporary.startswith("/") else "",
        tuple(sorted({0, *(account.pw_uid for account in (user, become) if account is not None)})),
    )
