# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program, script or library that ran on a host: the record that host, store, recommender and judge share."""

from __future__ import annotations

import typing as t

PROGRAM, SCRIPT, LIBRARY = KINDS = ("program", "script", "library")

# The content compared with what the package that owns the path records. NO_DIGEST: it records none. UNKNOWN: the file
# could not be read, or is gone.
VERIFIED, MODIFIED, NO_DIGEST, UNPACKAGED, UNKNOWN = VERIFICATIONS = (
    "verified",
    "modified",
    "no_digest",
    "unpackaged",
    "unknown",
)

# The file when the look read it. CHANGED: it was written after the newest execution, so that the digest is perhaps not
# of what ran. GONE: there is no such file now. MEMORY: there never was one (memfd_create(2)).
PRESENT, CHANGED, GONE, MEMORY = CONTENTS = ("present", "changed", "gone", "memory")


class Program(t.NamedTuple):
    """The facts of one file that ran. ``image``, ``kind`` and ``path`` identify it on a host.

    path: printable, as the kernel names the file. image: of the container that it ran in, "" on the host itself.
    interpreter: what runs a script, a printable path. sha256: hexadecimal, "" where it never was taken. content: one of
    CONTENTS.
    manager, package, version: of the package that owns the path; "" for none. verification: one of VERIFICATIONS.
    origin: of an RPM package the short id of the key that signed it; of a dpkg package "signed" where a signed
    repository index has this version; else "".
    owner: of the file. writers: who besides root can write to the file or to a directory above it; printable.
    """

    kind: str
    path: str
    image: str = ""
    interpreter: str = ""
    sha256: str = ""
    content: str = PRESENT
    manager: str = ""
    package: str = ""
    version: str = ""
    verification: str = UNKNOWN
    origin: str = ""
    owner: str = ""
    writers: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str]:
        """Return what the same file has on every host and after every upgrade."""
        return (self.image, self.kind, self.path)


class Sighting(t.NamedTuple):
    """A program on one host, and how it ran there.

    first, last: seconds since the epoch. days: on how many days (UTC) it was seen; last_day: the newest, in days since
    the epoch. executions: also looks at a process that already ran. explained: how many of them known automation
    or a package manager explains. users: accounts (the login account where there is one), parents: programs that
    started it; printable, the newest eight.
    """

    program: Program
    first: float
    last: float
    days: int
    last_day: int
    executions: int
    explained: int = 0
    users: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


def as_dict(sighting: Sighting) -> dict[str, t.Any]:
    """Return a sighting as one flat mapping for JSON, as modules return it in ``programs``."""
    own = sighting._asdict()
    program = own.pop("program")._asdict()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in {**program, **own}.items()}


def from_dict(data: t.Mapping[str, t.Any]) -> Sighting:
    """Return a sighting from what ``as_dict`` made; raise KeyError or TypeError for anything else."""
    program = Program(**{name: _value(data[name]) for name in Program._fields})
    return Sighting(program, **{name: _value(data[name]) for name in Sighting._fields if name != "program"})


def _value(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value
