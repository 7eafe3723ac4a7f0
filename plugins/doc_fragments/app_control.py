# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that app_control_info and app_inventory_info share."""

from __future__ import annotations


class ModuleDocFragment:
    """Which logs are read, how gently, and how much of a host is remembered."""

    DOCUMENTATION = r"""
options:
  paths:
    description:
      - Audit logs on the host, each with its rotated files beside it. Glob patterns are allowed.
      - Defaults to C(/var/log/audit/audit.log).
    type: list
    elements: path
  max_programs:
    description: Programs that are remembered or listed at most. RV(ignore:coverage) has the number of others.
    type: int
    default: 20000
  keep_days:
    description: Days after which a program that was not seen again is left out.
    type: int
    default: 90
  time_budget:
    description:
      - Seconds that the module may take on a host, or V(0) for no limit. RV(ignore:coverage) says what was not reached.
        The next recorded run goes on there.
    type: int
    default: 300
  priority:
    description:
      - V(idle) leaves processor and disk to everything else on the host (nice 19 and the idle I/O class).
    type: str
    choices: [idle, normal]
    default: idle
"""
