# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up an import of alerts in lines for people."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.importing import Imported, Unknown
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted

_MOST_HOSTS = 20
_MOST_ALERTS = 3
_CHANGES = ("new", "seen_again", "resolved", "reopened")


def lines(product: str, imported: Imported, hosts: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the numbers of recorded alerts, and the alerts that were not recorded.

    product: its title. hosts: numbers of findings by ``_CHANGES``, one mapping for each host of the inventory.
    """
    numbers = ", ".join(f"{sum(each[name] for each in hosts)} {name.replace('_', ' ')}" for name in _CHANGES)
    records, alerts = counted(imported.records, "record"), counted(imported.alerts, "alert")
    others = counted(imported.others, "other record")
    below = f"{imported.below_floor:,} of them below the floor"
    return [
        f"The files have {records}: {alerts} of {product}, {below}, and {others}.",
        *(["Nothing was recorded."] if not hosts else [f"Findings of {counted(len(hosts), 'host')}: {numbers}."]),
        *_unknown(imported.unknown),
    ]


def warnings(product: str, imported: Imported) -> list[str]:
    """Return a sentence for each file that is damaged, and one if no record is an alert of the product."""
    if imported.alerts or not imported.records:
        return imported.damaged
    return [*imported.damaged, f"No record is an alert of {product}: check the product and what was exported."]


def _unknown(unknown: t.Sequence[Unknown]) -> t.Iterator[str]:
    if not unknown:
        return
    total = sum(each.total for each in unknown)
    yield (
        f"The inventory does not have the hosts of {counted(total, 'alert')}. Set edr_ids of a host to the id that the "
        f"product has of it, and import the files again:"
    )
    for each in unknown[:_MOST_HOSTS]:
        name = ", ".join(each.names) or "a host without a name"
        yield f"  {name}: {counted(each.total, 'alert')} ({each.reason}); {'; '.join(each.alerts[:_MOST_ALERTS])}"
    if len(unknown) > _MOST_HOSTS:
        yield f"  and {counted(len(unknown) - _MOST_HOSTS, 'more host')}; the module's unknown_hosts lists them."
