# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An export takes as much memory for many changes as for some: a controller may have a million that wait.

A few hundred changes stand for a million; what is in memory at once is as small in relation.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import pathlib
import tracemalloc
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import worker
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Clock, Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared, Receipt
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.worker import Worker
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, outbox_existing, outbox_limits

from tests.unit.plugins.plugin_utils.store.outboxes import NAME, register, state
from tests.unit.plugins.plugin_utils.store.samples import finding, record

_AT_ONCE = 50
# The first export imports and compiles statements.
_NUMBERS = (400, 200, 1_600)
# What Python has not collected yet. The events of the last store have 3 MB, their findings without events 1 MB.
_TOLERANCE = 500_000
# Python's own, of 3.13.
_THRESHOLDS = (2_000, 10, 10)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_CLAIM_CHANGES", _AT_ONCE)
    monkeypatch.setattr(outbox_existing, "_BATCH", _AT_ONCE)
    monkeypatch.setattr(outbox_limits, "_PART", _AT_ONCE)


def _filled(path: pathlib.Path, number: int, **destination: t.Any) -> str:
    """Return the URL of a store in which so many changes wait, if a destination is given."""
    url = f"sqlite:///{path}/{number}/findings.db"
    with contextlib.closing(Store.open(url)) as store:
        if destination:
            register(store, **destination)
        for start in range(0, number, 200):
            subjects = [f"/etc/file{item}" for item in range(start, start + 200)]
            record(store, 10, [finding(subject, host=f"web{start}") for subject in subjects], host=f"web{start}")
    return url


def _peak(work: t.Callable[[], object]) -> int:
    """Return how many bytes Python had at most for some work, beyond what it had before.

    Statements of SQLAlchemy are cycles, which only Python's collector frees. Looks that other tests call in this
    process let it rest for a million objects, as is right for a look that ends soon.
    """
    gc.collect()
    thresholds = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.set_threshold(*thresholds)


class _Receiver:
    """Takes everything and remembers nothing."""

    batch_events, batch_bytes = 1_000, 10**9

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        return Prepared(event["metadata"]["uid"], key, ocsf.render(event).body)

    def send(self, batch: t.Sequence[Prepared]) -> list[Receipt]:
        return [Receipt("accepted") for _event in batch]

    def close(self) -> None:
        pass


def _export(store: Store, number: int) -> None:
    progress, clock = Progress(), Clock()
    ends: dict[str, t.Any] = {"deadline": clock.monotonic() + 600, "failures": 0, "redact": str}
    Worker(store, _Receiver(), NAME, "one", **ends, progress=progress, clock=clock).run()
    assert (progress.error, progress.sent) == (None, number)


def test_an_export_needs_no_more_memory_for_more_changes(tmp_path: pathlib.Path) -> None:
    peaks = []
    for number in _NUMBERS:
        with contextlib.closing(Store.open(_filled(tmp_path, number, evidence=False))) as store:
            peaks.append(_peak(functools.partial(_export, store, number)))
    assert peaks[2] < peaks[1] + _TOLERANCE


@pytest.mark.parametrize("limits", [{}, {"max_changes": 10, "when_full": "keep_newest"}])
def test_queueing_existing_findings_needs_no_more_memory_for_more(
    tmp_path: pathlib.Path, limits: dict[str, t.Any]
) -> None:
    peaks = []
    for number in _NUMBERS:
        with contextlib.closing(Store.open(_filled(tmp_path, number))) as store:
            peaks.append(_peak(functools.partial(register, store, 20, since=0, **limits)))
            assert state(store).waiting == limits.get("max_changes", number)
            assert state(store).dropped == number - state(store).waiting
    assert peaks[2] < peaks[1] + _TOLERANCE
