# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module that looks at a host returned, as the store takes it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import CapabilityResult


def result_of_module(capability: str, result: t.Mapping[str, t.Any]) -> CapabilityResult:
    """Return the parts of a module's result that the store takes. It refuses one without coverage."""
    return CapabilityResult(
        capability=capability,
        findings=result.get("findings") or [],
        coverage=t.cast("t.Any", result.get("coverage")),
        checkpoint=result.get("checkpoint"),
        controls=result.get("controls") or (),
        containers=result.get("containers") or (),
        programs=result.get("programs") or (),
        program_host=result.get("program_host"),
        ended=result.get("ended") or (),
        remediated=result.get("remediated") or (),
        elsewhere=result.get("elsewhere") or (),
    )
