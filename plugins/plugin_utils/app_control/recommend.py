# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommend roles, and an allowlist for each, from the programs that a fleet ran. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding, Options, Previous
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Recommendation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet


def recommend(
    fleet: Fleet,
    options: Options = Options(),  # noqa: B008
    previous: Previous = {},  # noqa: B006
    findings: t.Iterable[OpenFinding] = (),
) -> Recommendation:
    """Return the roles of the fleet, who has them, and what to allow."""
    return Recommendation((), {}, {})
