# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of application control that a report needs in addition to findings."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils._program import Program


@dataclasses.dataclass(frozen=True)
class Host:
    """A host whose programs the store has. days: how many were observed. allowlists: the names that counted last."""

    name: str
    distribution: str
    days: int
    allowlists: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class AppControl:
    """The facts that the store has.

    programs: by host and subject, of the findings that ``app_control_tables.listed`` chooses.
    """

    hosts: tuple[Host, ...] = ()
    programs: t.Mapping[tuple[str, str], Program] = dataclasses.field(default_factory=dict)
