# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remember which products a host had at the last recorded run, so that one that somebody removed is an alert.

A product that is gone has no findings of its own any more, so removing it would end those that say that it was stopped.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError, default_root
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import SYSTEM, Entry
from ansible_collections.bulwark.servers.plugins.module_utils.edr.judge import PROTECTION_SCOPE, Product
from ansible_collections.bulwark.servers.plugins.module_utils.edr.judge_health import day

NAME = "edr_health"
CAPABILITY = "edr"
_VERSION = 1

Detection = t.Dict[str, t.Any]


class Memory:
    """The products that a host had. ``checkpoint`` is for the result after ``update``, None if nothing is stored."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, coverage: ScopeCoverage) -> None:
        """params: of edr_info. coverage: says why nothing can be remembered."""
        self.checkpoint: dict[str, t.Any] | None = None
        self._coverage = coverage
        self._before: Checkpoint | None = None
        root = params["state_dir"] or default_root(os.environ, os.geteuid())
        advance = bool(params["_advance"]) and not check_mode
        try:
            self._before = Checkpoint.load(root, NAME, params["_token"], advance, directory=CAPABILITY)
        except StateError as error:
            coverage.skip("checkpoint", "%s; which products were removed is not known" % error)

    def update(
        self, entries: t.Sequence[Entry], products: t.Sequence[Product], expected: t.Container[str], is_complete: bool
    ) -> list[Detection]:
        """Return detections about products that are gone, and remember those that are there.

        expected: products that have a finding anyway if they are missing. is_complete: whether all that shows a product
        could be read; without, none is gone.
        """
        before = self._before
        if before is None:
            return []
        detections = [_tampered(before.problem)] if before.problem else []
        now = time.time()
        there = {product.entry.id: now for product in products if product.entry.kind != SYSTEM}
        titles = {entry.id: entry.title for entry in entries}
        gone = {name: seen for name, seen in _products(before.state).items() if name in titles and name not in there}
        if is_complete:
            detections += [
                _removed(name, titles[name], seen, now) for name, seen in gone.items() if name not in expected
            ]
            gone = {}
        try:
            self.checkpoint = before.save({"version": _VERSION, "products": {**gone, **there}})
        except StateError as error:
            self._coverage.skip("checkpoint", "%s; the next run compares with the same again" % error)
        return detections


def _products(state: t.Mapping[str, t.Any]) -> dict[str, float]:
    """Return when each product was seen, by its id."""
    products = state.get("products") if state.get("version") == _VERSION else None
    if not isinstance(products, dict):
        return {}
    return {str(name): float(seen) for name, seen in products.items() if isinstance(seen, (int, float))}


def _removed(name: str, title: str, seen: float, now: float) -> Detection:
    message = "%s was on the host on %s, and no part of it is there any more." % (title, day(seen))
    evidence = {"data": {"product": name, "last_seen": seen}}
    return detection("edr_removed", name, PROTECTION_SCOPE, [evidence], last_time=now, message=message)


def _tampered(problem: str) -> Detection:
    shown = printable(problem)
    return detection(
        "edr_alert_state_tampered",
        "checkpoint of %s" % NAME,
        PROTECTION_SCOPE,
        [{"data": {"problem": shown}}],
        last_time=time.time(),
        message="%s. So products that were removed are not known." % shown,
    )
