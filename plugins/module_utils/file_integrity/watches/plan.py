# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches compiled to rules for one directory at a time, which say what watch owns a path.

The rules of a directory are a state of a nondeterministic automaton that reads path components: the watches that cover
the directory's children by recursion, and the globs of which some components have matched. Directories
in the same state share one ``Rules``, so that nothing is computed again below a watched tree.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs

NOBODY = -1

_ROOT = 0
_EXCLUDE = 1
_INCLUDE = 2

# (watch, levels still to go below the directory, -1 for all): most specific first.
_Cover = t.Tuple[int, int]
# (pattern, how many of its components have matched).
_Item = t.Tuple[int, int]

_CACHED_PATHS = 20000
_NOTHING: t.Mapping[bytes, str] = {}


class Root(t.NamedTuple):
    """Where a watch begins: an absolute glob, and how many levels below it are watched (-1 for all)."""

    watch: int
    glob: str
    recurse: int


class _Pattern(t.NamedTuple):
    purpose: int
    watch: int
    recurse: int
    components: tuple[globs.Component, ...]


class Plan:
    """Every watch, ready to be asked about directories.

    roots: where the watches begin, homes and links resolved (see ``roots.resolve``). mounts: file system type at each
    mount point. hidden: paths that no watch covers in this run, such as our own state.
    """

    def __init__(
        self,
        watches: t.Sequence[Watch],
        roots: t.Iterable[Root],
        mounts: t.Mapping[bytes, str],
        hidden: t.Iterable[bytes] = (),
    ) -> None:
        self.watches = tuple(watches)
        self.roots = tuple(roots)
        self._hidden = frozenset(hidden)
        self.excluded_names = [globs.any_of([g for g in w.exclude if "/" not in g]) for w in watches]
        self.included_names = [globs.any_of([g for g in w.include if "/" not in g]) for w in watches]
        self.selective = [bool(w.include) for w in watches]
        self._patterns = self._compiled(self.roots)
        self._local = frozenset(i for i, w in enumerate(watches) if w.filesystems == "local")
        self.foreign = {path: kind for path, kind in mounts.items() if _safe_fs.is_foreign(kind)}
        self._barred: dict[bytes, dict[bytes, str]] = {}
        for path, reason in [*self.foreign.items(), *((path, "") for path in self._hidden)]:
            if path != b"/":
                self._barred.setdefault(parent(path), {})[path[path.rindex(b"/") + 1 :]] = reason
        self.mount_points = frozenset(mounts)
        self._states: dict[tuple[tuple[_Cover, ...], tuple[_Item, ...]], Rules] = {}
        self._paths: dict[bytes, Rules] = {}

    def rules(self, directory: bytes) -> Rules:
        """Return the rules for the children of a directory, by its absolute path."""
        below: list[bytes] = []
        above = directory
        while above not in self._paths and above != b"/":
            below.append(above)
            above = parent(above)
        rules = self._paths.get(above) or self._at_top()
        if len(self._paths) >= _CACHED_PATHS:
            self._paths.clear()
        self._paths[above] = rules
        for path in reversed(below):
            rules = self._paths[path] = self._entered(rules, path)
        return rules

    def owner(self, path: bytes) -> int:
        """Return the index of the watch that owns a path, or ``NOBODY``."""
        if path == b"/" or path in self._hidden:
            return NOBODY
        return self.rules(parent(path)).look(path[path.rindex(b"/") + 1 :])[0]

    def barred(self, directory: bytes) -> t.Mapping[bytes, str]:
        """Return the names in a directory that aren't entered, each with the file system type that is why.

        The type is empty for what no watch ever covers. A watch of all file systems enters the others.
        """
        return self._barred.get(directory, _NOTHING)

    def is_beyond(self, directory: bytes) -> bool:
        """Say whether a directory is on a network or pseudo file system, or hidden."""
        return self.is_hidden(directory) or innermost(directory, self.foreign) in self.foreign

    def is_hidden(self, directory: bytes) -> bool:
        """Say whether no watch covers a directory because it, or one above it, is hidden."""
        return innermost(directory, self._hidden) in self._hidden

    def crosses(self, watch: int) -> bool:
        """Say whether a watch goes on into network and pseudo file systems."""
        return watch not in self._local

    def step(self, items: t.Iterable[_Item], name: bytes) -> tuple[list[_Item], list[_Pattern]]:
        """Read one path component: return the items after it, and the patterns that it completes."""
        following: list[_Item] = []
        complete: list[_Pattern] = []
        text: str | None = None
        for number, position in items:
            pattern = self._patterns[number]
            component = pattern.components[position]
            last = position + 1 == len(pattern.components)
            if component is globs.ANY_DEPTH:
                self._enter(following, number, position)
                if last:
                    complete.append(pattern)
                continue
            if isinstance(component, bytes):
                matches = component == name
            else:
                text = globs.to_text(name) if text is None else text
                matches = component.match(text) is not None
            if matches and last:
                complete.append(pattern)
            elif matches:
                self._enter(following, number, position + 1)
        return following, complete

    def component(self, item: _Item) -> globs.Component:
        return self._patterns[item[0]].components[item[1]]

    def watch_of(self, item: _Item) -> int:
        return self._patterns[item[0]].watch

    def begins(self, item: _Item) -> bool:
        """Say whether an item can still lead to where a watch begins, and isn't only about what one leaves out."""
        return self._patterns[item[0]].purpose == _ROOT

    def state(self, covers: tuple[_Cover, ...], items: t.Iterable[_Item]) -> Rules:
        """Return the one Rules for this state. Items that no watch here can use any more are dropped from it."""
        pending = tuple(sorted(set(items)))
        alive = {watch for watch, levels in covers if levels} | {self.watch_of(i) for i in pending if self.begins(i)}
        key = (covers, tuple(i for i in pending if self.watch_of(i) in alive))
        rules = self._states.get(key)
        if rules is None:
            rules = self._states[key] = Rules(self, *key)
        return rules

    def _at_top(self) -> Rules:
        items: list[_Item] = []
        covers: list[_Cover] = []
        for number, pattern in enumerate(self._patterns):
            if pattern.components:
                self._enter(items, number, 0)
            elif pattern.purpose == _ROOT:
                covers.append((pattern.watch, pattern.recurse))
        if b"/" in self._hidden:
            return self.state((), ())
        rules = self.state(tuple(reversed(covers)), items)
        return rules.without(self._local) if b"/" in self.foreign else rules

    def _entered(self, above: Rules, directory: bytes) -> Rules:
        if directory in self._hidden:
            return self.state((), ())
        rules = above.look(directory[directory.rindex(b"/") + 1 :])[1]
        return rules.without(self._local) if directory in self.foreign else rules

    def _enter(self, items: list[_Item], number: int, position: int) -> None:
        """Add an item, and the one after it where it stands at ``**``, which also matches no component at all."""
        items.append((number, position))
        pattern = self._patterns[number].components
        if pattern[position] is globs.ANY_DEPTH and position + 1 < len(pattern):
            items.append((number, position + 1))

    def _compiled(self, roots: t.Iterable[Root]) -> list[_Pattern]:
        patterns = []
        for root in roots:
            parts = globs.compiled(globs.components(root.glob))
            patterns.append(_Pattern(_ROOT, root.watch, root.recurse, parts))
        for index, watch in enumerate(self.watches):
            for purpose, texts in ((_EXCLUDE, watch.exclude), (_INCLUDE, watch.include)):
                patterns += [
                    _Pattern(purpose, index, 0, globs.compiled(globs.components(text))) for text in texts if "/" in text
                ]
        return patterns


class Rules:
    """What holds for the children of a directory. Immutable; see ``Plan``."""

    def __init__(self, plan: Plan, covers: tuple[_Cover, ...], items: tuple[_Item, ...]) -> None:
        self._plan = plan
        self._covers = covers
        self._items = items
        self._open = tuple((watch, levels) for watch, levels in covers if levels)
        # With ten thousand home directories there are as many literal items: each is only tried on its own name.
        self._literals: dict[bytes, list[_Item]] = {}
        self._matching: list[_Item] = []
        for item in items:
            part = plan.component(item)
            (self._literals.setdefault(part, []) if isinstance(part, bytes) else self._matching).append(item)
        self._filtered = any(
            plan.excluded_names[watch] is not None or plan.selective[watch] for watch, _levels in self._open
        )
        self._usual: tuple[int, Rules] | None = None

    @property
    def active(self) -> bool:
        """Say whether anything in the directory or below can be watched."""
        return bool(self._open or self._items)

    @property
    def names(self) -> frozenset[bytes] | None:
        """Return the only names that matter here, or None when the directory must be listed."""
        return None if self._open or self._matching else frozenset(self._literals)

    @property
    def only(self) -> tuple[int, Rules] | None:
        """Return what ``look`` says of every name, None where that depends on the name."""
        return None if self._matching or self._filtered or self._literals else self.look(b"")

    @property
    def watches(self) -> frozenset[int]:
        """Return every watch that has, or may have, something in the directory or below."""
        return frozenset(watch for watch, _levels in self._open) | frozenset(
            self._plan.watch_of(item) for item in self._items if self._plan.begins(item)
        )

    def look(self, name: bytes) -> tuple[int, Rules]:
        """Return the watch that owns a child (or ``NOBODY``), and the rules for that child's own children."""
        if self._matching or self._filtered or name in self._literals:
            return self._looked(name)
        if self._usual is None:
            self._usual = self._looked(name)
        return self._usual

    def without(self, watches: t.AbstractSet[int]) -> Rules:
        """Return the rules that are left when some watches don't enter the directory."""
        return self._plan.state(
            tuple(cover for cover in self._covers if cover[0] not in watches),
            [item for item in self._items if self._plan.watch_of(item) not in watches],
        )

    def _looked(self, name: bytes) -> tuple[int, Rules]:
        plan = self._plan
        following, complete = plan.step([*self._literals.get(name, ()), *self._matching], name)
        begun = [(p.watch, p.recurse, _literal(p)) for p in complete if p.purpose == _ROOT]
        excluded = {p.watch for p in complete if p.purpose == _EXCLUDE}
        included = {p.watch for p in complete if p.purpose == _INCLUDE}
        # A path that begins here is more specific than any that covers from above; of two, the literal one, then the
        # later.
        begun.sort(key=lambda start: (start[2], start[0]), reverse=True)
        candidates = [(watch, recurse) for watch, recurse, _is_literal in begun]
        candidates += [(watch, levels - 1 if levels > 0 else levels) for watch, levels in self._open]
        text = globs.to_text(name) if self._filtered or begun else ""
        owner = NOBODY
        covers: list[_Cover] = []
        for watch, levels in candidates:
            names = plan.excluded_names[watch]
            if watch in excluded or (names is not None and names.match(text)):
                excluded.add(watch)
                continue
            if owner == NOBODY and (not plan.selective[watch] or watch in included or _matches(plan, watch, text)):
                owner = watch
            if all(cover[0] != watch or (cover[1] != -1 and (levels == -1 or levels > cover[1])) for cover in covers):
                covers.append((watch, levels))
        items = [item for item in following if plan.watch_of(item) not in excluded]
        return owner, plan.state(tuple(covers), items)


def parent(path: bytes) -> bytes:
    return path[: path.rindex(b"/")] or b"/"


def innermost(path: bytes, points: t.Container[bytes]) -> bytes:
    """Return the deepest of these directories that a path is in or at, / if it is in none."""
    while path != b"/" and path not in points:
        path = parent(path)
    return path


def child(directory: bytes, name: bytes) -> bytes:
    return b"/" + name if directory == b"/" else directory + b"/" + name


def _literal(pattern: _Pattern) -> bool:
    return all(isinstance(part, bytes) for part in pattern.components)


def _matches(plan: Plan, watch: int, text: str) -> bool:
    names = plan.included_names[watch]
    return names is not None and names.match(text) is not None
