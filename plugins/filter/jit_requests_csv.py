# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show requests to open ports as a table for spreadsheets."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import table


def jit_requests_csv(requests: t.Any) -> str:
    """Return the table; raise AnsibleFilterError for what are no requests."""
    try:
        # Joining texts drops Ansible's mark, and a justification may be written like a template.
        return t.cast("str", wrap_var(table.table(requests)))
    except table.TableError as error:
        raise AnsibleFilterError(f"jit_requests_csv: {error}") from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"jit_requests_csv": jit_requests_csv}
