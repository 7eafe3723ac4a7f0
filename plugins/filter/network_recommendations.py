# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommend what a host's firewall should let in, from the traffic that was seen."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    model,
    options,
    recommend,
    sources,
    wording,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible


def network_recommendations(
    traffic: t.Any,
    listening: t.Any = None,
    trusted: t.Any = None,
    threats: t.Any = None,
    findings: t.Any = None,
    names: t.Any = None,
    public_ports: t.Any = options.PUBLIC_PORTS,
    minimum_days: t.Any = options.MINIMUM_DAYS,
    max_prefixes: t.Any = options.MAX_PREFIXES,
    observed: t.Any = None,
    sign_ins: t.Any = None,
    sign_ins_observed: t.Any = None,
    fleet: t.Any = None,
) -> dict[str, t.Any]:
    """Return the recommendations; raise AnsibleFilterError for traffic or options that make no sense."""
    try:
        asked = options.read(
            listening,
            trusted,
            threats,
            findings,
            names,
            public_ports,
            minimum_days,
            max_prefixes,
            observed,
            sign_ins,
            sign_ins_observed,
            fleet,
        )
        result = recommend.recommend(sources.read(traffic), asked, model.load())
    except (ContentError, sources.InputError) as error:
        raise AnsibleFilterError(f"network_recommendations: {error}") from None
    result["lines"] = [visible(line) for line in wording.lines(result)]
    return t.cast("dict[str, t.Any]", wrap_var(result))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"network_recommendations": network_recommendations}
