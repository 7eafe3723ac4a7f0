# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sealed header of a baseline: its watches, its packages, and the history of its changes."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import Mount
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import definitions, globs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import Root
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import SEPARATOR, Snapshot

# The oldest events leave a history that is longer.
_LONGEST_HISTORY = 500
# Seconds in which the kernel writes back what a program wrote through a mapping (proc_sys_vm(5), dirty_expire_centisecs
# and dirty_writeback_centisecs: 35 s). Only the first write since the last time tells by a change time.
_WRITTEN_BACK = 60
# Later than any time of a file, in nanoseconds since the epoch.
_NEVER = 1 << 70


@dataclasses.dataclass(frozen=True)
class Event:
    """One change of the baseline: when and until when (seconds since the epoch), by whom, why, what, how many changes.

    paths: printable, some of those that were accepted.
    """

    when: float
    until: float
    by: str
    reason: str
    action: str  # created, accepted or extended
    count: int = 0
    paths: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Header:
    """The header of a baseline. parent: the seal of the baseline that this one was made from.

    mounts: those of the host when it was recorded, without their options; None in baselines of before they were
    kept. They have no layers in baselines that kept only their types.
    """

    watches: tuple[Watch, ...]
    roots: tuple[Root, ...]
    packages: Snapshot
    history: tuple[Event, ...]
    parent: str | None = None
    entries: int = 0
    mounts: t.Mapping[bytes, Mount] | None = None

    def to_data(self) -> dict[str, t.Any]:
        """Return JSON data, the inverse of ``of``. The writer adds ``entries``."""
        return {
            "watches": [definitions.to_data(watch) for watch in self.watches],
            "roots": [list(root) for root in self.roots],
            "packages": dict(self.packages),
            "history": [dataclasses.asdict(event) for event in self.history],
            "parent": self.parent,
            **({} if self.mounts is None else {"mounts": _texts(self.mounts)}),
        }

    @classmethod
    def of(cls, data: t.Mapping[str, t.Any], path: str) -> Header:
        """Raises DamagedError when this is no header; path: the file, for the message."""
        try:
            return cls(
                watches=tuple(definitions.from_data(watch) for watch in data["watches"]),
                roots=tuple(Root(*root) for root in data["roots"]),
                packages=dict(data["packages"]),
                history=tuple(Event(**{**event, "paths": tuple(event["paths"])}) for event in data["history"]),
                parent=data["parent"],
                entries=int(data["entries"]),
                mounts=_paths(data["mounts"]) if "mounts" in data else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError("the baseline %s is damaged: its header is not one (%s)" % (path, error)) from error

    def reading_times(self) -> tuple[tuple[int, int], ...]:
        """Return the spans of nanoseconds since the epoch of which a change time vouches for nothing.

        They begin before files were read for this baseline and end after that. A file that changed in such a time may
        have changed again, after it was read, within the same tick of the kernel's clock (git knows this as "racy"), or
        through a mapping, without its change time telling. The last one has no end: a change time that was still to
        come when it was recorded can come once more.
        """
        return (*self._spans()[:-1], *(doubtful_since(event.when) for event in self.history[-1:]))

    def doubtful_times(self, now: float) -> tuple[tuple[int, int], ...]:
        """Return the same for a baseline that is being made of this one since ``now``, in seconds since the epoch."""
        return (*self._spans(), doubtful_since(now))

    def _spans(self) -> list[tuple[int, int]]:
        return [(_nanoseconds(event.when - _WRITTEN_BACK), _nanoseconds(event.until + 1)) for event in self.history]

    def followed_by(self, event: Event, parent: str | None, **changed: t.Any) -> Header:
        """Return the header of the baseline that an event makes of this one."""
        history = (*self.history, event)[-_LONGEST_HISTORY:]
        return dataclasses.replace(self, history=history, parent=parent, **changed)


def doubtful_since(now: float) -> tuple[int, int]:
    """Return the time from ``now`` on, in seconds since the epoch, as a span of ``Header.reading_times``."""
    return _nanoseconds(now - _WRITTEN_BACK), _NEVER


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _texts(mounts: t.Mapping[bytes, Mount]) -> dict[str, t.Any]:
    return {globs.to_text(point): _fields(mount) for point, mount in mounts.items()}


def _fields(mount: Mount) -> t.Any:
    if not mount.layers:
        return mount.kind
    return [mount.kind, globs.to_text(mount.root), globs.to_text(mount.source), mount.layers, mount.automounted]


def _paths(mounts: t.Mapping[str, t.Any]) -> dict[bytes, Mount]:
    return {globs.to_bytes(point): _mount(fields) for point, fields in mounts.items()}


def _mount(fields: t.Any) -> Mount:
    if isinstance(fields, str):
        return Mount(fields, layers=0)
    kind, root, source, layers, automounted = fields
    return Mount(kind, globs.to_bytes(root), globs.to_bytes(source), b"", int(layers), bool(automounted))


def merged_packages(sealed: Snapshot, now: Snapshot) -> Snapshot:
    """Return the packages of now, where a version that is sealed already keeps the digest of its metadata.

    So metadata that was edited on the host isn't sealed along with changes of something else.
    """
    return {
        key: {version: _merged_digest(sealed.get(key, {}).get(version), digest) for version, digest in versions.items()}
        for key, versions in now.items()
    }


def _merged_digest(sealed: str | None, now: str) -> str:
    """Return a sealed metadata digest with what was not known of it then."""
    if not sealed:
        return now
    return (
        SEPARATOR.join(old or new for old, new in zip(sealed.split(SEPARATOR), now.split(SEPARATOR))) if now else sealed
    )


def summary(header: Header | None, seal: str | None) -> dict[str, t.Any]:
    """Return the ``baseline`` that both modules return."""
    if header is None or not header.history:
        return {"exists": header is not None or seal is not None, **({"digest": seal} if seal else {})}
    last = header.history[-1]
    return {
        "exists": True,
        "digest": seal,
        "created": header.history[0].when,
        "updated": last.when,
        "updated_by": last.by,
        "reason": last.reason,
        "entries": header.entries,
        "watches": [watch.name for watch in header.watches],
    }
