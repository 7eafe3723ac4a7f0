# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's code for hosts, as one text that is the same for all of them."""

from __future__ import annotations

import functools
import hashlib
import json
import pathlib
import typing as t

_CODE = pathlib.Path(__file__).resolve().parents[2] / "module_utils"


class Archive(t.NamedTuple):
    """sources: a JSON object of all files by path. digest: its SHA-256."""

    sources: str
    digest: str


def load() -> Archive:
    """Return the archive of this installation."""
    return _load(_CODE)


@functools.lru_cache(maxsize=1)
def _load(directory: pathlib.Path) -> Archive:
    files = {path.relative_to(directory).as_posix(): path for path in sorted(directory.rglob("*.py"))}
    sources = json.dumps({name: path.read_text(encoding="utf-8") for name, path in files.items()}, sort_keys=True)
    return Archive(sources, hashlib.sha256(sources.encode("ascii")).hexdigest())
