# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that go on from where the last recorded run stopped."""

from __future__ import annotations


class ModuleDocFragment:
    """Where a host keeps what is remembered, and what the controller's store knows of it; see ``reading_spec``."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description:
      - Directory on the host that holds what the next run goes on from, as an absolute path.
      - It is made with mode C(0700). One that is there already keeps its mode, and is refused unless that is C(0700).
      - Defaults to C(/var/lib/bulwark) for root, and to C($XDG_STATE_HOME/bulwark) (C(~/.local/state/bulwark)) for
        others.
    type: path
  store:
    description:
      - URL of the findings store, as in M(bulwark.servers.findings).
    type: str
  run:
    description:
      - The run that the result will be recorded in with M(bulwark.servers.findings_record).
    type: str
  _advance:
    description: Set by the action plugin. Whether the result will be recorded, so that the next run goes on after it.
    type: bool
    default: false
  _token:
    description: Set by the action plugin. How far the store knows the host.
    type: str
"""

    SIMULATED = r"""
options:
  _simulated:
    description: Set by the action plugin. The sessions of simulated attacks that the store knows of the host.
    type: str
"""
