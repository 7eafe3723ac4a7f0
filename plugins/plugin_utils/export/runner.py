# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export to all destinations at once, each in a thread of its own, so that none waits for another one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import threading
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import heartbeat, kinds
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Clock, Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.settings import Settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.worker import Worker
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

# A receiver that is in the middle of a batch when the time is up may end it within so many seconds.
_GRACE = 15.0
_LONGEST_ERROR = 500


def run(
    destinations: t.Sequence[Settings], open_store: t.Callable[[], Store], seconds: float, clock: Clock | None = None
) -> dict[str, Progress]:
    """Send what waits for each destination; return what was done by the name of the destination.

    open_store: opens the store for one thread, as threads cannot share a connection. seconds: for all together. A
    worker that does not return in time is left behind: its claim ends by itself.
    """
    clock = clock or Clock()
    deadline = clock.monotonic() + seconds
    exporter = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
    done = {settings.name: Progress() for settings in destinations}
    threads = [
        threading.Thread(
            target=_work,
            args=(settings, open_store, exporter, deadline, done[settings.name], clock),
            name=f"export to {settings.name}",
            daemon=True,
        )
        for settings in destinations
    ]
    with heartbeat.renewing(open_store, exporter, done, clock):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline + _GRACE - clock.monotonic()))
    return {name: _ended(progress) for name, progress in done.items()}


def _ended(progress: Progress) -> Progress:
    """Return what a worker did until now; one that was left behind may go on for a while."""
    if progress.is_done:
        return progress
    return dataclasses.replace(progress, error="the receiver did not respond before the time limit of the export")


def _work(
    settings: Settings,
    open_store: t.Callable[[], Store],
    exporter: str,
    deadline: float,
    progress: Progress,
    clock: Clock,
) -> None:
    try:
        with contextlib.closing(open_store()) as store:
            _export(settings, store, exporter, deadline, progress, clock)
    except (ExportError, StoreError) as error:
        progress.error = _shown(settings, str(error))
    except Exception as error:  # noqa: BLE001 (a fault in one destination must not stop the others, or go unsaid)
        progress.error = _shown(settings, f"the export failed: {type(error).__name__}: {error}")
    progress.is_done = True


def _export(settings: Settings, store: Store, exporter: str, deadline: float, progress: Progress, clock: Clock) -> None:
    states = {state.destination.name: state for state in store.destinations(clock.now())}
    if settings.name not in states:
        raise ExportError("somebody removed the destination meanwhile")
    receiver = kinds.load(settings.destination.kind).open_receiver(settings.options, settings.name)
    with contextlib.closing(receiver):
        Worker(
            store,
            receiver,
            settings.name,
            exporter,
            deadline=deadline,
            failures=states[settings.name].attempts,
            redact=settings.redactor,
            progress=progress,
            clock=clock,
        ).run()


def _shown(settings: Settings, message: str) -> str:
    return visible(settings.redactor(message), _LONGEST_ERROR)
