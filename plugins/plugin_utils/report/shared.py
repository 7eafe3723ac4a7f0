# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finding has in common with findings on other hosts, in words: ``the same digest on web03 and web07``."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, listed, visible

if t.TYPE_CHECKING:
    # Without SQLAlchemy, which takes long to import, for those that show results without a store.
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Elsewhere

LIMIT = 10
_HOSTS_NAMED = 6
_VALUE_LIMIT = 200
_NAMES: t.Mapping[int, str] = {
    observables.HOSTNAME: "domain",
    observables.ADDRESS: "address",
    observables.ACCOUNT: "account",
    observables.URL: "URL",
    observables.DIGEST: "digest",
    observables.PROCESS: "process name",
    observables.CREDENTIAL: "key",
    observables.PATH: "path",
    observables.REGISTRY_KEY: "registry key",
}


def rows(event: t.Mapping[str, t.Any], host: str, elsewhere: t.Mapping[int, Elsewhere]) -> list[tuple[str, str, str]]:
    """Return what a finding shares (``digest``), its value, and the other hosts, at most ``LIMIT``, digests first.

    elsewhere: all hosts with an observable of the finding, by ``ocsf.observables.key``.
    """
    links = observables.linking(observables.of_event(event))
    # What can be another thing of the same name comes after what cannot.
    shared = sorted((key for key in links if key in elsewhere), key=lambda key: links[key].type_id in observables.WEAK)
    return [
        (_NAMES[links[key].type_id], visible(links[key].value, _VALUE_LIMIT), _hosts(elsewhere[key].without(host)))
        for key in shared[:LIMIT]
    ]


def _hosts(elsewhere: Elsewhere) -> str:
    named = [visible(name, 80) for name in elsewhere.hosts[:_HOSTS_NAMED]]
    more = elsewhere.host_count - len(named)
    return f"{', '.join(named)} and {counted(more, 'more host')}" if more > 0 else listed(named, _HOSTS_NAMED)
