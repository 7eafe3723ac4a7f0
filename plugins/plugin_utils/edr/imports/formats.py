# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the reader of exported records by the product's id."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import ecs, falco, osquery, wazuh
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fields import NotUnderstoodError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.imports import (
    carbon_black,
    crowdstrike,
    defender,
    sentinelone,
)

Records = t.Sequence[dict[str, t.Any]]
_Read = t.Callable[[Records, Source], t.Sequence[t.Any]]


def read(name: str, records: Records, source: Source) -> list[list[ProductAlert]]:
    """Return the alerts of each record, an empty list for a record that is none. name: of ``FORMATS``."""
    return [_listed(each) for each in FORMATS[name](records, source)]


def _each(reader: t.Callable[[dict[str, t.Any], Source], t.Any]) -> _Read:
    """Return a reader of all records, made of a reader of one; a record that it does not understand is no alert."""

    def read_all(records: Records, source: Source) -> list[t.Any]:
        alerts = []
        for record in records:
            try:
                alerts.append(reader(record, source))
            except NotUnderstoodError:
                alerts.append(None)
        return alerts

    return read_all


def _listed(read: t.Any) -> list[ProductAlert]:
    if isinstance(read, list):
        return read
    return [] if read is None else [read]


FORMATS: t.Mapping[str, _Read] = {
    "microsoft_defender": defender.read,
    "crowdstrike_falcon": crowdstrike.read,
    "sentinelone": sentinelone.read,
    "carbon_black": carbon_black.read,
    "elastic_agent": _each(ecs.of_record),
    "falco": _each(falco.of_record),
    "wazuh": _each(wazuh.of_record),
    "osquery": _each(osquery.of_record),
}
