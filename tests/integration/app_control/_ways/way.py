# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One way to run code, and what is expected of it."""

from __future__ import annotations

import typing as t


class Way(t.NamedTuple):
    """A row.

    name: of the script in starters. how: what is done, for people. control: the alerts of application control about it.
    others: those of other capabilities, each after its capability's name. marks: subjects that belong to it, beside
    those in the directory of its script; ``$S`` is the directory that is at the same path outside of the system.
    blocked: whether its code does not run where the allowlist is enforced; None where that can't be tried.
    """

    name: str
    how: str
    control: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    blocked: bool | None = False
