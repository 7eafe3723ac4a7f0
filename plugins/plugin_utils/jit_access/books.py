# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the book of a host and that of the store together: what differs is a finding, what happened is recorded."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import compare, host
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitQuery, JitRequest, Store, StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.location import is_own

# A host that was taken over can claim any number of openings; each is a finding.
_MOST_FINDINGS = 1000
_NO_LOOK = "The open ports could not be read, so they were not compared with the requests."


@dataclasses.dataclass(frozen=True)
class Compared:
    """Result of comparing the books of a host and of the store. coverage: the entry of the scope ``requests``."""

    detections: list[dict[str, t.Any]]
    coverage: dict[str, t.Any]


def compared(result: host.Result, name: str, url: str | None, now: float, is_check: bool) -> Compared:
    """Compare the result of a look with the requests for that host, and record what it says of them.

    url: of the store; the default where it is None. now: before the look, in seconds since the epoch.
    """
    entry = ScopeCoverage(compare.SCOPE)
    openings = host.seen(result)
    if openings is None:
        entry.fail(_NO_LOOK)
        return Compared([], entry.entry())
    try:
        requests = stored(url, name, now)
    except StoreError as error:
        # Who opens ports without a store has none to compare with.
        if openings or not is_own(url):
            entry.fail(f"The requests could not be read: {error}.")
        return Compared([], entry.entry())
    entry.examined = len(openings)
    if requests and not is_check:
        try:
            with contextlib.closing(Store.open(url)) as store:
                store.jit_settle(name, openings, now=now)
        except StoreError as error:
            entry.skip("what became of requests", f"it could not be recorded: {error}")
    detections = compare.compare(result, requests, now)
    if len(detections) > _MOST_FINDINGS:
        entry.skip(f"{len(detections) - _MOST_FINDINGS} more openings", "they differ from the requests, too")
    return Compared(detections[:_MOST_FINDINGS], entry.entry())


def stored(url: str | None, name: str, now: float) -> dict[str, JitRequest]:
    """Return the requests for a host, by id; raise StoreError where the store cannot be read."""
    with contextlib.closing(Store.open(url, mode="read")) as store:
        # A name may look like a pattern of other names.
        return {found.id: found for found in store.jit_requests(JitQuery(hosts=[name]), now) if found.host == name}
