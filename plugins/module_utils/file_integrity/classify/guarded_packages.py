# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that authenticate accounts or start things: the sealed baseline saw files for it in them.

The host's own lists of what a package has can be edited; the baseline's can't.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.facts import GUARDED_CATEGORIES
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import Plan, child


def guarded_packages(
    plan: Plan,
    watches: t.Sequence[model.Watch],
    directories: t.Iterable[bytes],
    lines_of: t.Callable[[bytes], t.Mapping[bytes, bytes]],
) -> frozenset[str]:
    """Return the keys of the packages that owned a file of a watch that guards something.

    lines_of: returns the baseline's lines of a directory by escaped name.
    """
    guarding = {number for number, watch in enumerate(watches) if watch.category in GUARDED_CATEGORIES}
    keys = set()
    for directory in directories:
        rules = plan.rules(directory)
        if not guarding & rules.watches:
            continue
        for name, line in lines_of(directory).items():
            if lines.type_of(line) == model.FILE and rules.look(lines.unescape(name))[0] in guarding:
                entry = lines.parse(line, child(directory, lines.unescape(name)), "")
                if entry.package is not None:
                    keys.add(entry.package)
    return frozenset(keys)
