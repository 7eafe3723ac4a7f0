# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a policy is not deployed, in sentences; and what of the programs that ran it would stop. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Facts, Options
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import Blocked, Policy
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record


def refusals(policy: Policy, facts: Facts, options: Options) -> list[str]:
    """Return a sentence for each reason, all at once; nothing for a policy that may be deployed."""
    raise NotImplementedError


def blocked(policy: Policy, records: t.Iterable[Record]) -> list[Blocked]:
    """Return the programs that ran and that the policy would stop, by path."""
    raise NotImplementedError
