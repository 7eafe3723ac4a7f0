# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results that a worker process reports of its directories."""

from __future__ import annotations

import dataclasses
import typing as t


class Difference(t.NamedTuple):
    """An entry whose line differs from the baseline's. extra: digests that package verification needs.

    before and after are lines, None where there is nothing. Both are the same state, marked, for a program that still
    doesn't match its package.
    """

    path: bytes
    watch: int
    before: bytes | None
    after: bytes | None
    extra: t.Mapping[str, str] | None = None


class Block(t.NamedTuple):
    """A directory as it goes into a baseline. block: None to keep the block that the old baseline has.

    stamp: see ``status_digests.stamp``; None where the block may not have each name that was in the directory.
    """

    directory: bytes
    block: bytes | None
    entries: int = 0
    content: int = 0
    pending: str | None = None
    stamp: bytes | None = None


@dataclasses.dataclass
class Report:
    """What one or more directories came to.

    directories: newly found, still to be read. skipped: watch, path and reason. damaged: directories whose block
    isn't what the seal covers. examined: entries by watch. added: those that the baseline that is extended did not
    cover. differing: bytes in the lines of ``differences``.
    """

    differences: list[Difference] = dataclasses.field(default_factory=list)
    blocks: list[Block] = dataclasses.field(default_factory=list)
    directories: list[bytes] = dataclasses.field(default_factory=list)
    skipped: list[tuple[int, bytes, str]] = dataclasses.field(default_factory=list)
    damaged: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    examined: dict[int, int] = dataclasses.field(default_factory=dict)
    added: dict[int, int] = dataclasses.field(default_factory=dict)
    differing: int = 0
    directories_read: int = 0
    bytes_read: int = 0

    @property
    def weight(self) -> int:
        """Return roughly how many bytes this holds, so that it is sent on before it gets big."""
        return 500 * len(self.differences) + self.differing + sum(len(block.block or b"") for block in self.blocks)
