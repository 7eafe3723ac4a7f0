# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches as they come from the user and as they are sealed in the baseline: checked and turned into ``Watch``."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import ATTRIBUTES, Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.content import constructor
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import Root

# How many watches a sentence names.
_LISTED = 20

HASHES = ("blake2b", "blake2s", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512")


def from_options(options: t.Sequence[t.Mapping[str, t.Any]]) -> list[Watch]:
    """Return the watches of the option ``watches``; raise UsageError naming the watch and what is wrong with it."""
    watches = [_checked(option) for option in options]
    names = [watch.name for watch in watches]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError("two watches are named '%s'; give each its own name" % twice[0])
    return watches


def to_data(watch: Watch) -> dict[str, t.Any]:
    """Return a watch as JSON data, the inverse of ``from_data``."""
    data = watch._asdict()
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in data.items()}


def from_data(data: t.Mapping[str, t.Any]) -> Watch:
    """Return a watch from a baseline's header; KeyError or TypeError when it isn't one."""
    return Watch(
        **{
            **data,
            "paths": tuple(data["paths"]),
            "exclude": tuple(data["exclude"]),
            "include": tuple(data["include"]),
            "attributes": frozenset(data["attributes"]),
            "hashes": tuple(data["hashes"]),
        }
    )


class Difference(t.NamedTuple):
    """How the watches that are asked for differ from those of a baseline, by name."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @classmethod
    def of(cls, old: t.Sequence[Watch], new: t.Sequence[Watch]) -> Difference:
        before = {watch.name: watch for watch in old}
        now = {watch.name: watch for watch in new}
        return cls(
            tuple(name for name in now if name not in before),
            tuple(name for name in before if name not in now),
            tuple(name for name in now if name in before and now[name] != before[name]),
        )

    def result(self) -> dict[str, list[str]]:
        return {"watches_%s" % kind: list(names) for kind, names in self._asdict().items()}

    def sentence(self) -> str:
        """Return why a baseline is extended."""
        sentences = ["Watches %s: %s." % (kind, _listed(names)) for kind, names in self._asdict().items() if names]
        return (
            " ".join(sentences)
            or "Paths that could not be read before were added, or the order of the watches changed."
        )


def _listed(names: t.Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (" and %d more" % more if more > 0 else "")


def recording(watch: Watch) -> Watch:
    """Return what of a watch decides what is recorded, without what says what a change means."""
    return _meaning(watch, Watch("", ()))


def with_meaning_of(sealed: t.Sequence[Watch], given: t.Iterable[Watch]) -> list[Watch]:
    """Return sealed watches that say of a change what the controller says now."""
    by_name = {watch.name: watch for watch in given}
    return [_meaning(watch, by_name[watch.name]) if watch.name in by_name else watch for watch in sealed]


def _meaning(watch: Watch, other: Watch) -> Watch:
    return watch._replace(category=other.category, alert=other.alert, techniques=other.techniques)


def roots_kept(old: t.Sequence[Watch], roots: t.Iterable[Root], new: t.Sequence[Watch]) -> list[Root]:
    """Return where the old watches began that are among the new ones unchanged, numbered like those."""
    numbers = {recording(watch): number for number, watch in enumerate(new)}
    numbered = ((numbers.get(recording(old[root.watch])), root) for root in roots)
    return [root._replace(watch=number) for number, root in numbered if number is not None]


def _checked(option: t.Mapping[str, t.Any]) -> Watch:
    name = option["name"]
    if not name.strip():
        raise UsageError("a watch has no name; give it one")
    if not option["paths"]:
        raise UsageError("watch '%s' has no paths; name at least one" % name)
    for field in ("paths", "exclude", "include"):
        for glob in option.get(field) or ():
            _check_glob(name, field, glob)
    recurse = option.get("recurse", -1)
    if recurse < -1:
        raise UsageError("watch '%s': recurse is %d; use -1 for all levels, or 0 and more" % (name, recurse))
    hashes = tuple(option.get("hashes") or ("sha256",))
    for algorithm in hashes:
        _check_hash(name, algorithm)
    return Watch(
        name=name,
        paths=tuple(option["paths"]),
        exclude=tuple(option.get("exclude") or ()),
        include=tuple(option.get("include") or ()),
        recurse=recurse,
        attributes=frozenset(option.get("attributes") or ATTRIBUTES),
        hashes=hashes,
        filesystems=option.get("filesystems") or "local",
        category=option.get("category") or "other",
        alert=option.get("alert"),
        techniques=option.get("techniques"),
    )


def _check_hash(name: str, algorithm: str) -> None:
    try:
        constructor(algorithm)
    except ValueError:
        raise UsageError("watch '%s': this host's Python cannot compute '%s'" % (name, algorithm)) from None


def _check_glob(name: str, field: str, glob: str) -> None:
    try:
        globs.check(glob[1:] if field == "paths" and glob.startswith("~/") else glob, name=field != "paths")
    except globs.GlobError as error:
        raise UsageError("watch '%s', %s: %s" % (name, field, error)) from error
