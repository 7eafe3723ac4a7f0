# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the C# files that a utility needs, as ansible-core does: by the lines that begin with ``using``."""

from __future__ import annotations

import pathlib
import re
import typing as t

from tests.support import paths

# All C# of the collection is below it; PACKAGE/File.cs has the namespace NAMESPACE.PACKAGE.File.
DIRECTORY = paths.ROOT / "plugins" / "module_utils" / "windows"
NAMESPACE = "ansible_collections.bulwark.servers.plugins.module_utils.windows"

_USING = re.compile(rf"^\s*using\s+{re.escape(NAMESPACE)}\.([\w.]+);", re.MULTILINE)


def every_source() -> list[pathlib.Path]:
    """Return all C# files of the collection."""
    return sorted(DIRECTORY.rglob("*.cs"))


def sources(*names: str) -> list[pathlib.Path]:
    """Return the files of these utilities, such as ``contracts.Json``, and of all that they use; raise ValueError."""
    files: dict[str, pathlib.Path] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        file = DIRECTORY.joinpath(*name.split(".")).with_suffix(".cs")
        if not file.is_file():
            raise ValueError(f"there is no utility {name}: {file.relative_to(paths.ROOT)} does not exist")
        files[name] = file
        waiting += used_by(file.read_text(encoding="utf-8"))
    return [files[name] for name in sorted(files)]


def used_by(source: str) -> t.Sequence[str]:
    """Return the names of the collection's utilities that a C# text uses."""
    return _USING.findall(source)
