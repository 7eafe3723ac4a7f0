# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of a host made anew from the allowlist that it keeps, for the packages that are installed now."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content as contents
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    deployment,
    refusals,
    state,
    trusted,
    watchers,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Options
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import compile_policy
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.host import distribution
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import daemon, live_files, upgrade_rules

_MOST_SENTENCES = 5


class RenewalError(Exception):
    """The policy can't be made anew; the message is a sentence, or some."""


def renew(where: StateDirectory) -> None:
    """Write the rules and the trust of the policy, without those of an upgrade; the daemon has to load them.

    Raises RenewalError.
    """
    deployed = state.read(where)
    if deployed is None:
        return
    given = _payload.unpack(deployed.content)
    options = Options(**{name: _value(value) for name, value in deployed.options.items()})
    params = {**deployed.options, "state_dir": os.path.dirname(where.path), "_connection": deployed.connection}
    installed = daemon.installed()
    facts = trusted.facts(params, given, installed.version if installed else "", keeps_digests=True)
    policy = compile_policy(contents.allowlist(given, distribution()), facts, options)
    # Programs that ran meanwhile, such as scripts of packages, are no reason to keep the trust of an upgrade.
    refused = refusals.refusals(policy, facts._replace(records=()), options._replace(minimum_days=0))
    if refused:
        raise RenewalError(" ".join(refused[:_MOST_SENTENCES]).rstrip("."))
    made = deployment.files(policy, daemon.DIRECTORY, watchers.own(deployed.has_watcher, where.path))
    if made[deployment.RULES] == live_files.read(deployment.RULES):
        # What somebody changed in rules.d and did not load is not loaded here.
        made[deployment.COMPILED] = live_files.read(deployment.COMPILED)
    made[deployment.COMPILED] = upgrade_rules.removed(made[deployment.COMPILED])
    for path in (deployment.TRUST, deployment.RULES, deployment.COMPILED):
        live_files.write(path, made[path])
    live_files.remove(upgrade_rules.PATH)
    state.write(where, deployed._replace(digests=deployment.digests(made)))


def _value(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value
