# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a finding as a line of CEF."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import filter_input
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError


def line(finding: t.Any, version: t.Any = "0") -> str:
    """Return the line without its end; raise AnsibleFilterError for what is no finding, and for another version."""
    if isinstance(version, bool) or str(version) not in cef.VERSIONS:
        raise AnsibleFilterError(f"cef: version '{version}' is not one of {', '.join(cef.VERSIONS)}")
    try:
        rendered = cef.render(filter_input.event(finding, "cef"), str(version))
    except UnfitError as error:
        raise AnsibleFilterError(f"cef: {error}") from None
    # Values that hosts sent may look like a template.
    return t.cast("str", wrap_var(rendered.body.decode()))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cef": line}
