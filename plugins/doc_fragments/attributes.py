# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection says about itself in the same words."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes that the modules' documentation shows as a table; each module adds its ``support``."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would change, without changing it.
  diff_mode:
    description: Returns what has changed, or would change in C(check_mode), when in diff mode.
  idempotent:
    description: When run twice in a row with the same arguments, the second run changes nothing.
  platform:
    description: The platforms that the module runs on.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module only reads.
  diff_mode:
    support: none
    details:
      - This module changes nothing that could be shown as a difference.
  idempotent:
    support: full
    details:
      - This module only reads.
"""

    LINUX = r"""
options: {}
attributes:
  platform:
    support: full
    platforms: linux
"""
