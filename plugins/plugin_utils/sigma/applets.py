# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are many, as the collection's own rules list them among others.

``Image|endswith: [/date, /busybox]`` means that BusyBox does what date does, not that BusyBox runs at all: on Alpine
nearly every command is BusyBox. It chooses its applet by the last part of its first word, or by the second word where
the first one begins with its own name (``main`` of BusyBox's libbb/appletlib.c).
"""

from __future__ import annotations

import re
import typing as t

Node = list[t.Any]

_SEVERAL_IN_ONE = ("/busybox", "/toybox", "/coreutils")


def narrowed(node: Node) -> Node:
    """Return a search's list of programs so that one that is many only counts as those beside it in the list."""
    if node[:3] != ["text", "Image", "endswith"]:
        return node
    several = [value for value in node[3] if value in _SEVERAL_IN_ONE]
    others = [value for value in node[3] if value not in _SEVERAL_IN_ONE]
    # A list of nothing else is narrowed by the rule, or means all that such a program does.
    if not several or not others:
        return node
    names = "|".join(re.escape(value.rpartition("/")[2]) for value in others)
    return [
        "or",
        [
            [*node[:3], others],
            [
                "and",
                [
                    [*node[:3], several],
                    [
                        "or",
                        [
                            ["regex", "CommandLine", [[_COMMAND % names, ""]]],
                            # A link to it can lie in a directory whose name has a space.
                            ["regex", "Argv", [[r"\A.*\s.*/(?:%s)\Z" % names, "s"]]],
                        ],
                    ],
                ],
            ],
        ],
    ]


_COMMAND = (
    r"\A-?(?:\S*/)?(?:(?:busybox|toybox|coreutils)\S*\s+(?:--coreutils-prog(?:-shebang)?=)?(?:\S*/)?)?"
    r"(?:%s)(?:\s|\Z)"
)
