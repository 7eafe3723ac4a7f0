# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several mistakes in one run of ansible-playbook: each run of its own takes seconds of processor time."""

from __future__ import annotations

import pathlib
import re
import typing as t

import yaml

from tests.support import paths

# A playbook of the collection with its variables.
Mistake = tuple[str, t.Mapping[str, t.Any]]
_REFUSED = "The play was refused."
# Messages name the variables that somebody set in tasks of the collection alone, which are told by their path.
_PATH = "ansible_collections/bulwark/servers/playbooks/mistakes.yml"


def write(directory: pathlib.Path, mistakes: t.Sequence[Mistake]) -> pathlib.Path:
    """Write a playbook that has the plays of others, each with variables of its own, and return its path.

    A refused mistake ends its play as in the collection's playbook, and the next play begins.
    """
    playbook = directory / _PATH
    playbook.parent.mkdir(parents=True)
    playbook.write_text(yaml.safe_dump([_play(number, *mistake) for number, mistake in enumerate(mistakes)]))
    return playbook


def outputs(output: str, mistakes: int) -> list[str]:
    """Return the output of the play of each mistake; AssertionError if one was not refused."""
    parts = re.split(r"PLAY \[Mistake \d+\]", output)[1:]
    assert len(parts) == mistakes, output
    for part in parts:
        assert _REFUSED in part, part
    return parts


def _play(number: int, playbook: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    file = paths.ROOT / "playbooks" / f"{playbook.rpartition('.')[2]}.yml"
    (play,) = yaml.safe_load(file.read_text())
    refused = {"name": "Refused", "ansible.builtin.debug": {"msg": _REFUSED}}
    return {
        **play,
        "name": f"Mistake {number}",
        "vars": {**play.get("vars", {}), **variables},
        "tasks": [{"block": play["tasks"], "rescue": [refused]}],
    }
