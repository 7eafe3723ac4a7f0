# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a finding into a row of ASIM AlertEvent."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import filter_input
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import asim
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError


def row(finding: t.Any) -> dict[str, t.Any]:
    """Return the columns of the row; raise AnsibleFilterError for what is no finding."""
    try:
        rendered = asim.render(filter_input.event(finding, "asim"))
    except UnfitError as error:
        raise AnsibleFilterError(f"asim: {error}") from None
    # Values that hosts sent may look like a template.
    return t.cast("dict[str, t.Any]", wrap_var(json.loads(rendered.body)))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"asim": row}
