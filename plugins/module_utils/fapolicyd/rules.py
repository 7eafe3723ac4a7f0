# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule files of fapolicyd (fapolicyd.rules(5)), and the file that fagenrules(8) compiles them to."""

from __future__ import annotations

import typing as t


def files(directory: str) -> list[str]:
    """Return the names of the rule files of a directory, in the order that fagenrules reads them."""
    raise NotImplementedError


def compiled(texts: t.Sequence[bytes]) -> bytes:
    """Return compiled.rules of the contents of rule files, given in their order, byte for byte as fagenrules does."""
    raise NotImplementedError


def identity(text: bytes) -> str:
    """Return what the daemon logs as "Ruleset identity": the SHA-256 digest of the file that it loads."""
    raise NotImplementedError


def conflicts(before: t.Sequence[tuple[str, str]], after: t.Sequence[tuple[str, str]]) -> list[str]:
    """Return a sentence for each rule of others that sorts before ours, or that ours leave nothing to decide.

    before, after: (name, text) of the rule files that sort before and after ours.
    """
    raise NotImplementedError
