# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose groups by name. One variable may name groups of Linux and of Windows: each host takes those that it has."""

from __future__ import annotations

import functools
import typing as t

from ansible.module_utils.common.validation import check_type_list
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

_CONTENT = catalogue.CONTENT / "audit"


def choose(known: t.Mapping[str, bool], names: t.Any, extra: t.Any, disabled: t.Any) -> set[str]:
    """Return the names of the groups that a host gets; raise ContentError for a name that no platform has.

    known: the groups of the platform, and whether each is a default one. names: in place of the default groups, None
    for these, which also stay if all names are of another platform. extra and disabled: beside them, and left out.
    """
    given = {
        option: list(map(str, check_type_list(value or [])))
        for option, value in (("groups", names), ("extra_groups", extra), ("disabled_groups", disabled))
    }
    for option, listed in given.items():
        for name in listed:
            if name not in known and name not in every():
                others = ", ".join(sorted(every() - known.keys()))
                raise ContentError(
                    f"{option}: there is no group '{name}'; there are {', '.join(sorted(known))}, and for hosts of"
                    f" another platform {others}"
                )
    named = set(given["groups"]) & known.keys()
    if names is None or (given["groups"] and not named):
        named = {name for name, is_default in known.items() if is_default}
    return ((named | set(given["extra_groups"])) - set(given["disabled_groups"])) & known.keys()


@functools.lru_cache(maxsize=1)
def every() -> frozenset[str]:
    """Return the names of the groups of all platforms; raise ContentError when a file is wrong."""
    files = [*sorted((_CONTENT / "rules").glob("*.yml")), _CONTENT / "windows_policy.yml"]
    return frozenset(str(name) for file in files for name in catalogue.read(file))
