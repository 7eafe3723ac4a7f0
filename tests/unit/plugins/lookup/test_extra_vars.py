# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line decides which names are set; the inventory counts only if the command line has none of them."""

from __future__ import annotations

import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars
from ansible_collections.bulwark.servers.plugins.lookup.extra_vars import LookupModule

NAMES = ["finding", "path", "user"]
INVENTORY = {"path": ["/opt"], "user": "deploy", "other": 1}


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        ({"finding": "F-1"}, ["finding"]),
        ({"user": "root", "finding": ""}, ["finding", "user"]),
        ({"bulwark_store": "sqlite:///x"}, ["path", "user"]),
        ({"bulwark_become": False}, ["path", "user"]),
    ],
)
def test_names_of_the_command_line_come_first(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, t.Any], names: list[str]
) -> None:
    # Ansible's own function keeps there what it has read of the command line.
    monkeypatch.setattr(load_extra_vars, "extra_vars", extra, raising=False)
    assert LookupModule(loader=DataLoader()).run(NAMES, {**INVENTORY, **extra}) == names
