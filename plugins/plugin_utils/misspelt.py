# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find variables whose names are nearly those of options, which Ansible would ignore in silence."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible.utils.display import Display
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, role_variables, spelling

FILE = catalogue.CONTENT / "shared_options.yml"
_SET = re.compile(r"(?:register: |^ +)(bulwark_\w+)(?=:|$)", re.MULTILINE)


def shared_options() -> list[str]:
    """Return the options that playbooks share, all of which begin with ``bulwark_``; raise ContentError."""
    content = catalogue.read(FILE)
    names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise catalogue.ContentError(f"{FILE.name}: names: a list is needed; write one on each line after a dash")
    return names


def of_role(names: t.Collection[str], role: str) -> list[str]:
    """Return a sentence for each of the names that is nearly a variable of a role, and warn of those that are none."""
    prefix, known = f"{role}_", role_variables.names(role)
    return among(names, known, prefix, {*known, *_mentioned(role)}) + _begun_wrong(names, known, prefix)


def among(names: t.Iterable[str], known: t.Sequence[str], prefix: str, expected: t.Container[str]) -> list[str]:
    """Return a sentence for each name with the prefix that is nearly a known one, and warn of the others.

    expected: names of which nothing is said.
    """
    found = []
    for name in sorted(name for name in names if name.startswith(prefix) and name not in expected):
        meant = spelling.likeliest(name, known, prefix)
        if meant:
            found.append(_sentence(name, meant))
        else:
            Display().warning(f"'{name}' is not an option of bulwark.servers: it changes nothing there")
    return found


def _begun_wrong(names: t.Iterable[str], known: t.Sequence[str], prefix: str) -> list[str]:
    strange = sorted(name for name in names if not name.startswith(prefix))
    meant = ((name, spelling.elsewhere(name, known, prefix)) for name in strange)
    return [_sentence(name, option) for name, option in meant if option]


def _sentence(name: str, meant: str) -> str:
    return f"There is no option '{name}'; did you mean {meant}?"


@functools.lru_cache(maxsize=1)
def set_by_playbooks() -> frozenset[str]:
    """Return the variables that playbooks and roles set themselves, because later playbooks of a run see them too."""
    files = [*(role_variables.ROLES.parent / "playbooks").glob("*.yml"), *role_variables.ROLES.glob("*/tasks/*.yml")]
    return frozenset(name for file in files for name in _SET.findall(file.read_text(encoding="utf-8")))


def _mentioned(role: str) -> set[str]:
    """Return all names that a role's tasks mention and that begin with its name."""
    mentioned = re.compile(rf"\b{role}_\w+")
    tasks = (role_variables.ROLES / role / "tasks").glob("*.yml")
    return {name for file in tasks for name in mentioned.findall(file.read_text(encoding="utf-8"))}
