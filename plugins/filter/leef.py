# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a finding as a line of LEEF."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import filter_input
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import leef
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError


def line(finding: t.Any) -> str:
    """Return the line without its end; raise AnsibleFilterError for what is no finding."""
    try:
        rendered = leef.render(filter_input.event(finding, "leef"))
    except UnfitError as error:
        raise AnsibleFilterError(f"leef: {error}") from None
    # Values that hosts sent may look like a template.
    return t.cast("str", wrap_var(rendered.body.decode()))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"leef": line}
