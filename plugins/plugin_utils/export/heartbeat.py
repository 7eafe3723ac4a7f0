# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew the claims of an exporter while it lives, so that they end soon after it died."""

from __future__ import annotations

import contextlib
import threading
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Clock, Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.worker import LEASE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

# A beat may be late, or meet a store that is busy, and the next one still comes in time.
_BEAT = LEASE / 4


@contextlib.contextmanager
def renewing(
    open_store: t.Callable[[], Store],
    exporter: str,
    workers: t.Mapping[str, Progress],
    clock: Clock,
) -> t.Iterator[None]:
    """Renew the claims of the workers that have not ended, every few seconds, until the context ends.

    workers: what they did so far, by the name of the destination.
    """
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(_BEAT):
            # A claim that is not renewed ends early, and its changes may be sent twice: no reason to end the export.
            with contextlib.suppress(StoreError), contextlib.closing(open_store()) as store:
                for name in [name for name, progress in workers.items() if not progress.is_done]:
                    store.renew(name, exporter, lease=LEASE, now=clock.now())

    thread = threading.Thread(target=beat, name="renew claims of the export", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(LEASE)
