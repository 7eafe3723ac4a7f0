# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust files of fapolicyd: a line "PATH SIZE SHA256" for each file that counts as trusted (fapolicyd.trust(5))."""

from __future__ import annotations

import typing as t


class Trusted(t.NamedTuple):
    """A trusted file. path: as the kernel names it, without symbolic links. size: in bytes. sha256: hexadecimal."""

    path: str
    size: int
    sha256: str


def parse(text: bytes) -> list[Trusted]:
    """Return the entries of a trust file, as the daemon reads it; raise ValueError where it would stop reading."""
    raise NotImplementedError


def is_expressible(path: str) -> bool:
    """Say whether a line can name a path."""
    raise NotImplementedError


def render(trusted: t.Iterable[Trusted]) -> bytes:
    """Return a trust file; raise ValueError for a path that no line can name."""
    raise NotImplementedError
