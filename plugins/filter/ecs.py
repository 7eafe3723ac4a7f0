# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a finding into a document of the Elastic Common Schema."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import filter_input
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ecs
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError


def document(finding: t.Any, data_stream: t.Any = ecs.DATA_STREAM) -> dict[str, t.Any]:
    """Return the document; raise AnsibleFilterError for what is no finding, and for a name that is no text."""
    if not isinstance(data_stream, str):
        raise AnsibleFilterError(f"ecs: data_stream must be a text, not {type(data_stream).__name__}")
    try:
        rendered = ecs.render(filter_input.event(finding, "ecs"), str(data_stream))
    except UnfitError as error:
        raise AnsibleFilterError(f"ecs: {error}") from None
    # Values that hosts sent may look like a template.
    return t.cast("dict[str, t.Any]", wrap_var(json.loads(rendered.body)))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"ecs": document}
