# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the evidence of a finding from the store."""

from __future__ import annotations

import contextlib
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, listed, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Finding,
    Query,
    SharedObservable,
    Store,
    StoreError,
)

# A finding with more is about many things at once; the first ones are enough to begin with.
MOST_EVIDENCES = 100
_MOST_SHARED = 3
_HOSTS_NAMED = 4
# OCSF's types of observables as people call them.
_WORDS = {
    "Hostname": "domain",
    "IP Address": "address",
    "User Name": "account",
    "Hash": "digest",
    "Process Name": "process name",
    "User Credential ID": "key",
    "File Path": "path",
}


class Found(t.NamedTuple):
    """The parts of a finding that an investigation begins with.

    evidences: as OCSF has them. first, last: when it happened, in seconds since the epoch, None if unknown. elsewhere:
    sentences about what findings on other hosts show, too.
    """

    evidences: list[t.Any]
    first: float | None
    last: float | None
    elsewhere: t.Sequence[str] = ()


def load(uid: str, host: str, url: str | None) -> Found:
    """Return the evidence of a finding of a host. Raises ContentError if there is none, or it is another host's."""
    try:
        with contextlib.closing(Store.open(url, mode="read")) as store:
            findings = store.query(Query(uids=[uid]))
            shared = store.shared_observables(Query(uids=[uid])) if findings else []
    except StoreError as error:
        raise ContentError(str(error)) from None
    if not findings:
        raise ContentError(
            f"finding: the store has no finding '{uid}'; findings_info and the report show the uid of each"
        )
    finding = findings[0]
    if finding.host != host:
        raise ContentError(f"finding: '{uid}' is about {finding.host}, not {host}; investigate it on that host")
    evidences = finding.event.get("evidences")
    return Found(
        list(evidences[:MOST_EVIDENCES]) if isinstance(evidences, list) else [],
        *times_of(finding),
        [_sentence(each) for each in shared[:_MOST_SHARED]],
    )


def times_of(finding: Finding) -> tuple[float | None, float]:
    """Return when it happened first, None if unknown, and last."""
    info = finding.event.get("finding_info")
    times = info if isinstance(info, dict) else {}
    return _seconds(times.get("first_seen_time")), _seconds(times.get("last_seen_time")) or finding.last_seen


def _sentence(shared: SharedObservable) -> str:
    more = shared.host_count - len(shared.hosts[:_HOSTS_NAMED])
    named = [visible(name, 80) for name in shared.hosts[:_HOSTS_NAMED]]
    hosts = listed([*named, *([counted(more, "more host")] if more > 0 else [])], _HOSTS_NAMED + 1)
    return f"Findings on {hosts} show the same {_WORDS.get(shared.type, shared.type)} {visible(shared.value, 100)}."


def _seconds(value: t.Any) -> float | None:
    """Return a time of OCSF, which counts milliseconds."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value / 1000 if is_number else None
