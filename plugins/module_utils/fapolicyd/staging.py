# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory for fapolicyd, prepared beside the one in use, with the files of others as they are."""

from __future__ import annotations

import typing as t

STAGED = "/etc/.fapolicyd-bulwark"


class StagingError(Exception):
    """The directory can't be prepared; the message is one sentence."""


def build(source: str, target: str, files: t.Mapping[str, bytes], without: t.Iterable[str] = ()) -> None:
    """Make ``target`` a copy of ``source`` with owner, mode, times and extended attributes, and write files into it.

    files: contents by their paths below the directory. without: paths below it that are left out. Raises StagingError.
    """
    raise NotImplementedError
