# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show findings and coverage as lines of plain text."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import from_results, table


def findings_table(
    findings: t.Any,
    coverage: t.Any = (),
    width: t.Any = 120,
    limit: t.Any = 50,
    host: t.Any = "this host",
    capability: t.Any = "all",
) -> list[str]:
    """Return the lines; raise AnsibleFilterError for what is none of this collection's results."""
    for name, value, wanted in (
        ("width", width, int),
        ("limit", limit, int),
        ("host", host, str),
        ("capability", capability, str),
    ):
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise AnsibleFilterError(f"findings_table: {name} must be {wanted.__name__}, not {type(value).__name__}")
    try:
        rows, entries = from_results.rows(findings), from_results.entries(coverage, host, capability)
    except from_results.ResultError as error:
        raise AnsibleFilterError(f"findings_table: {error}") from None
    # Joining texts drops Ansible's mark, and a file may be named like a template.
    return t.cast("list[str]", wrap_var(table.lines(rows, entries, width, limit)))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"findings_table": findings_table}
