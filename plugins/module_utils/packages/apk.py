# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database of apk-tools: /lib/apk/db/installed, apk-installed-db(5).

Each package is a paragraph of lines with a letter, a colon and a value; its files follow its fields.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import Reopener
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

# Alpine with a merged /usr has it in the second.
_DATABASES = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")


class ApkPackage(t.NamedTuple):
    """One paragraph. origin: the source package. tag: of the repository that it is pinned to. broken: apk's flags."""

    name: str
    version: str
    arch: str
    origin: str
    tag: str
    broken: str


def path(root: bytes) -> bytes | None:
    """Return where ``root`` has apk's database, or None."""
    candidates = (os.path.join(root, name) for name in _DATABASES)
    return next((candidate for candidate in candidates if os.path.isfile(candidate)), None)


def read(root: bytes, reopener: Reopener | None = None) -> bytes:
    """Return the database of a root; raise OSError as ``read_state`` does."""
    return read_state(path(root) or os.path.join(root, _DATABASES[0]), reopener)


def parse(data: bytes) -> list[ApkPackage]:
    """Return the packages; one without a name or a version has "" there."""
    packages = []
    for paragraph in data.split(b"\n\n"):
        fields: dict[bytes, bytes] = {}
        for line in paragraph.split(b"\n"):
            letter, colon, value = line.partition(b":")
            # From the first directory on, letters are about files.
            if letter == b"F":
                break
            if colon:
                fields.setdefault(letter, value)
        if fields:
            texts = (fields.get(letter, b"").decode("utf-8", "surrogateescape").strip() for letter in _LETTERS)
            packages.append(ApkPackage(*texts))
    return packages


# As the fields of ApkPackage.
_LETTERS = (b"P", b"V", b"A", b"o", b"s", b"f")
