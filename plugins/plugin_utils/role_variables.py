# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the collection's roles, as their argument specifications list them."""

from __future__ import annotations

import functools
import pathlib
import typing as t

from ansible.module_utils.common.yaml import yaml_load

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


def names(role: str) -> list[str]:
    """Return the variables that begin with the name of the role; raise OSError if there is no such role."""
    return [name for name in spec(role) if name.startswith(f"{role}_")]


@functools.lru_cache(maxsize=32)
def spec(role: str) -> t.Mapping[str, t.Mapping[str, t.Any]]:
    """Return the argument specification of the role's variables; raise OSError if there is no such role."""
    text = (ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return t.cast("dict[str, dict[str, t.Any]]", yaml_load(text)["argument_specs"]["main"]["options"])
