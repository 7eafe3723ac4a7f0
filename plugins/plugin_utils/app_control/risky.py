# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run others, or read, write or send files, for whoever starts them: content/app_control."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import CONTENT, ContentError

PATH = CONTENT / "app_control" / "risky_programs.yml"

_FIELDS = {"programs", "packages", "use"}
# A version at the end of a name: python3.11, lua5.4, clang-14.
_VERSION = re.compile(r"-?\d+([.]\d+)*$")


class RiskyPrograms:
    """programs: what each is good for to an intruder, by its name without a version. packages: the same by package."""

    def __init__(self, programs: t.Mapping[str, str], packages: t.Mapping[str, str]) -> None:
        self._programs, self._packages = programs, packages

    def use_of(self, program: Program) -> str:
        """Return what a program is good for to an intruder, "" for nothing that is known."""
        name = program.path.rpartition("/")[2]
        for candidate in (name, _VERSION.sub("", name)):
            if candidate in self._programs:
                return self._programs[candidate]
        # A package that is called like such a program has it, whatever its other files are called.
        return self._packages.get(program.package) or self._programs.get(program.package, "")


@functools.lru_cache(maxsize=1)
def load() -> RiskyPrograms:
    """Return the collection's list; raise ContentError when its file is wrong."""
    return parse(catalogue.read(PATH), PATH.name)


def parse(content: t.Any, file: str) -> RiskyPrograms:
    """Return the list that a file has; raise ContentError for the first entry that is wrong."""
    if not isinstance(content, list):
        raise ContentError(f"{file} is not a list of entries with programs, packages and use")
    programs: dict[str, str] = {}
    packages: dict[str, str] = {}
    for number, entry in enumerate(content, 1):
        if not isinstance(entry, dict) or not {*entry} <= _FIELDS or not isinstance(entry.get("use"), str):
            raise ContentError(f"{file}: entry {number} has other fields than programs, packages and use")
        for field, names in (("programs", programs), ("packages", packages)):
            for name in entry.get(field, []):
                if not isinstance(name, str) or not name or "/" in name:
                    raise ContentError(f"{file}: entry {number} has a name in {field} that is none")
                if name in names:
                    raise ContentError(f"{file}: {name} is twice in {field}")
                names[name] = entry["use"]
    return RiskyPrograms(programs, packages)
