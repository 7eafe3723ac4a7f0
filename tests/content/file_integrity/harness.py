# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a case written as YAML into a change with its context, with the default watches and the engine's own rules.

A case says what was there (``before``), what is there now (``after``) and which packages there are. Either is a path,
or a mapping: path, type, content, mode, uid, gid, mtime, link, size, inode, links, flags, acl, capabilities, selinux,
xattrs, package. Modes are octal, as text.
A package: name, version, was (its version in the baseline, the same when left out, null when it was not installed),
gone (it is not installed any more), edited (its metadata changed), signed (true when left out), scripts (kind: text),
files (path: content, or a mapping of content, link, mode, uid, gid, capabilities, conffile, obsolete, ghost, and
signed: what the signed dpkg package ships there, a mapping of content, link, mode, uid, gid, or null for nothing; the
same content, of root, with an ordinary mode when left out).
guarded: names of packages that had start-up files in the baseline. overrides_changed: dpkg's statoverride file was
edited. linker_cache: the libraries, by name, that the file as a cache of the dynamic linker leads to. damaged: the
manager whose database can't be read completely. was_owned: other paths that were a package's in the baseline.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import differences
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import classifier, derived_files
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import definitions, plan
from ansible_collections.bulwark.servers.plugins.module_utils.packages import model as packages_model
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content as file_integrity

CASES = pathlib.Path(__file__).parent / "cases"
HOMES = ("/root", "/home/alice")
_MODES = {model.FILE: 0o644, model.DIRECTORY: 0o755, model.LINK: 0o777}
_FIELDS = {
    *("path", "type", "content", "mode", "uid", "gid", "mtime", "link", "size", "inode", "links", "flags"),
    *("acl", "capabilities", "selinux", "package", "xattrs", "package_mismatch"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One case of one alert. becomes: the alert that is raised, ``explained`` or ``claimed``."""

    alert: str
    fields: t.Mapping[str, t.Any]
    becomes: str
    severity: str | None

    @property
    def title(self) -> str:
        return f"{self.alert}: {self.fields['why']}"


class Packages:
    """The packages that a case says the host has. signed_only: as a view of what a signature covers."""

    def __init__(
        self, packages: t.Sequence[t.Mapping[str, t.Any]], overrides_changed: bool, signed_only: bool = False
    ) -> None:
        self._signed_only = signed_only
        self._unsigned = {package["name"] for package in packages if not package.get("signed", True)}
        self._scripts = {package["name"]: package.get("scripts", {}) for package in packages}
        self._owned: dict[bytes, packages_model.Owned] = {}
        self._shipped: dict[tuple[str, bytes], packages_model.Owned] = {}
        overrides = "changed" if overrides_changed else "same"
        self.now: dict[str, dict[str, str]] = {"dpkg:base:all": {"1": "same"}, "dpkg:statoverride": {"": overrides}}
        self.baseline: dict[str, dict[str, str]] = {
            "dpkg:base:all": {"1": "same"},
            "dpkg:statoverride": {"": "same"},
        }
        for package in packages:
            self._add(package)

    def _add(self, package: t.Mapping[str, t.Any]) -> None:
        manager, name, version = package.get("manager", "dpkg"), package["name"], str(package.get("version", "1.0"))
        key = f"{manager}:{name}:amd64"
        was = package.get("was", version)
        if was is not None:
            self.baseline[key] = {str(was): "same"}
        if self._signed_only and (package.get("gone") or name in self._unsigned):
            if was is not None:
                self.now[key] = self.baseline[key]
            return
        if package.get("gone"):
            return
        self.now[key] = {version: "edited" if package.get("edited") else "same"}
        for path, shipped in (package.get("files") or {}).items():
            fields = dict(shipped) if isinstance(shipped, dict) else {"content": shipped}
            ships = fields.pop("signed", {})
            if self._signed_only and manager == "dpkg":
                if ships is None:
                    continue
                mode = "0755" if "bin/" in path or ".so" in path else "0644"
                fields = {"mode": mode, "uid": 0, "gid": 0, **fields, **ships}
            content, link = fields.pop("content", None), fields.pop("link", None)
            if "mode" in fields:
                fields["mode"] = None if link is not None else int(fields["mode"], 8)
            algorithm = "md5" if manager == "dpkg" and not self._signed_only else "sha256"
            self._owned[path.encode()] = self._shipped[key, path.encode()] = packages_model.Owned(
                *(key, name, version, "amd64", manager),
                digests={} if content is None else {algorithm: hashes(content)[algorithm]},
                link_target=None if link is None else link.encode(),
                **fields,
            )

    def owner(self, path: bytes) -> packages_model.Owned | None:
        return self._owned.get(path)

    def problem(self, owned: packages_model.Owned) -> str:
        return "it is not signed" if owned.package in self._unsigned else ""

    def shipped_by(self, key: str, path: bytes) -> packages_model.Owned | None:
        return None if key.split(":")[1] in self._unsigned else self._shipped.get((key, path))

    def scripts(self, package: str) -> t.Mapping[str, bytes]:
        return {kind: text.encode() for kind, text in self._scripts.get(package, {}).items()}

    def shipping(self, digests: t.Mapping[str, str]) -> t.Iterator[tuple[bytes, packages_model.Owned]]:
        for path, owned in self._owned.items():
            if owned.digests and owned.digests.items() <= digests.items():
                yield path, owned

    def digest_algorithms(self) -> t.AbstractSet[str]:
        return frozenset(("md5", "sha256"))

    def snapshot(self) -> dict[str, dict[str, str]]:
        return self.now

    def coverage_notes(self) -> list[tuple[str, str]]:
        return []


def hashes(content: str) -> dict[str, str]:
    data = content.encode()
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
    }


def load() -> list[Case]:
    """Return all cases of all files: under each alert, what raises it and what does not."""
    found = []
    for path in sorted(CASES.glob("*.yml")):
        for alert, groups in catalogue.read(path).items():
            assert set(groups) == {"raised", "not_raised"}, f"{path.name}: {alert} needs raised and not_raised"
            found += [Case(alert, fields, alert, fields["severity"]) for fields in groups["raised"]]
            found += [Case(alert, fields, fields["becomes"], fields.get("severity")) for fields in groups["not_raised"]]
    return found


def becomes(verdict: model.Verdict) -> str:
    """Return what a verdict makes of a change, as cases name it."""
    return verdict.alert or ("claimed" if verdict.claimed else "explained")


def verdict(case: Case) -> model.Verdict:
    """Return what the classification makes of a case."""
    watch_list = default_watches()
    change = _change(case.fields, watch_list)
    contexts = []
    for signed_only in (False, True):
        packages = Packages(
            case.fields.get("packages", ()), case.fields.get("overrides_changed", False), signed_only=signed_only
        )
        if "damaged" in case.fields:
            packages.now[f"{case.fields['damaged']}:incomplete"] = {"": "x"}
        context = model.Context(
            packages=packages,
            snapshot=packages.now,
            baseline_snapshot=packages.baseline,
            watches={watch.name: watch for watch in watch_list},
            derived=derived_rules(),
            was_owned=lambda path: path.decode() in case.fields.get("was_owned", ()),
            content=lambda _entry: _linker_cache(case.fields.get("linker_cache")),
            signed_only=signed_only,
            keeps_severity=lambda key: key.split(":")[1] in case.fields.get("guarded", ()),
            is_library=_is_library,
        )
        contexts.append(context)
    return classifier.classify(change, *contexts)


def _linker_cache(libraries: t.Mapping[str, str] | None) -> bytes | None:
    """Return a cache as glibc's dl-cache.h describes it."""
    if libraries is None:
        return None
    strings = b"".join(text.encode() + b"\0" for pair in libraries.items() for text in pair)
    start = 48 + 24 * len(libraries)
    entries = b""
    for name, path in libraries.items():
        entries += struct.pack("=iIIIQ", 0x303, start, start + len(name) + 1, 0, 0)
        start += len(name) + len(path) + 2
    return struct.pack("=20sII20x", b"glibc-ld.so.cache1.1", len(libraries), len(strings)) + entries + strings


@functools.cache
def default_watches() -> tuple[model.Watch, ...]:
    return tuple(definitions.from_options(file_integrity.load_watches()))


@functools.cache
def derived_rules() -> tuple[derived_files.DerivedRule, ...]:
    return derived_files.parse_derived(file_integrity.load_derived())


@functools.cache
def _plan() -> plan.Plan:
    roots = [
        plan.Root(number, home + path[1:] if path.startswith("~/") else path, watch.recurse)
        for number, watch in enumerate(default_watches())
        for path in watch.paths
        for home in (HOMES if path.startswith("~/") else ("",))
    ]
    return plan.Plan(default_watches(), roots, {})


def owner(path: bytes) -> str | None:
    """Return the name of the default watch that owns a path on a host with ``HOMES``."""
    number = _plan().owner(path)
    return None if number == plan.NOBODY else default_watches()[number].name


def _is_library(path: bytes) -> bool:
    number = _plan().owner(path)
    watch = default_watches()[number]
    return number != plan.NOBODY and watch.category == model.LIBRARY and "content" in watch.attributes


def _change(fields: t.Mapping[str, t.Any], watch_list: t.Sequence[model.Watch]) -> model.FileChange:
    before = _entry(fields.get("before"), fields.get("packages", ()))
    after = _entry(fields.get("after"), ())
    entry = after or before
    assert entry is not None, "a case has before, after or both"
    attributes: tuple[str, ...] = ()
    if before is None or after is None:
        kind = model.CREATED if before is None else model.DELETED
    else:
        watch = next(watch for watch in watch_list if watch.name == entry.watch)
        attributes = differences.differing(before, after, watch)
        kind = model.MODIFIED
        if before.type != after.type:
            kind = model.REPLACED_TYPE
        elif before.path != after.path:
            kind = model.RENAMED
    return model.FileChange(fields.get("kind", kind), entry.path, entry.watch, before, after, attributes)


def _entry(
    fields: str | t.Mapping[str, t.Any] | None, packages: t.Sequence[t.Mapping[str, t.Any]]
) -> model.Entry | None:
    if fields is None:
        return None
    fields = {"path": fields} if isinstance(fields, str) else fields
    assert not set(fields) - _FIELDS, f"unknown fields {set(fields) - _FIELDS}"
    path = fields["path"].encode()
    watch = owner(path)
    assert watch is not None, f"no default watch covers {path!r}"
    kind = fields.get("type", model.LINK if "link" in fields else model.FILE)
    content = fields.get("content", "content")
    xattrs = {name.encode(): value.encode() for name, value in fields.get("xattrs", {}).items()}
    if "capabilities" in fields:
        xattrs[model.CAPABILITY_XATTR] = struct.pack("<5I", 0x02000001, fields["capabilities"], 0, 0, 0)
    if "acl" in fields:
        acl = [(0x01, 6, -1), *((0x02, access, user) for user, access in fields["acl"].items()), (0x10, 7, -1)]
        xattrs[model.ACL_XATTRS[0]] = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in acl)
    if "selinux" in fields:
        xattrs[model.SELINUX_XATTR] = fields["selinux"].encode() + b"\0"
    regular = kind == model.FILE
    named = fields.get("package")
    keys = [f"{package.get('manager', 'dpkg')}:{named}:amd64" for package in packages if package["name"] == named]
    assert named is None or keys, f"no package {named}"
    return model.Entry(
        path=path,
        watch=watch,
        type=kind,
        mode=int(fields["mode"], 8) if "mode" in fields else _MODES.get(kind, 0o600),
        uid=fields.get("uid", 0),
        gid=fields.get("gid", 0),
        size=fields.get("size", len(content)) if regular else None,
        inode=fields.get("inode", 1),
        links=fields.get("links", 1),
        mtime_ns=fields.get("mtime", 1000) * 10**9,
        flags=tuple(fields.get("flags", ())),
        link_target=fields["link"].encode() if "link" in fields else None,
        hashes=hashes(content) if regular else None,
        xattrs=xattrs,
        xattr_kinds=("acl", "capabilities", "selinux", "xattrs"),
        package=keys[0] if keys else None,
        package_mismatch=fields.get("package_mismatch", False),
    )
