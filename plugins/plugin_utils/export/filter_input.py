# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a template gives to a filter of an export format: a finding of ``findings_info``, or its OCSF event."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence

_DEPTH_LIMIT = 40


def event(value: t.Any, filter_name: str) -> dict[str, t.Any]:
    """Return the OCSF event as plain data; raise AnsibleFilterError, which names the filter, for anything else."""
    if not isinstance(value, t.Mapping):
        raise AnsibleFilterError(
            f"{filter_name}: a finding of findings_info or its event is needed, not {type(value).__name__}"
        )
    given = value if "class_uid" in value else value.get("event")
    if not isinstance(given, t.Mapping) or "class_uid" not in given:
        raise AnsibleFilterError(f"{filter_name}: the finding has neither 'event' nor 'class_uid'")
    try:
        return t.cast("dict[str, t.Any]", _plain(given, _DEPTH_LIMIT))
    except evidence.UnfitError as error:
        raise AnsibleFilterError(f"{filter_name}: {error}") from None


def _plain(value: t.Any, depth: int) -> t.Any:
    """Return JSON's own types for Ansible's subclasses of them, which carry marks and origins."""
    if depth <= 0:
        raise evidence.UnfitError("the event is nested too deeply")
    if isinstance(value, t.Mapping):
        return {evidence.plain_text(str(key)): _plain(member, depth - 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, str):
        return evidence.plain_text(value)
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    raise evidence.UnfitError(f"the event has a value of the type {type(value).__name__}, which JSON does not have")
