# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that records a host again and again: ``chaos_writer.py URL HOST FINDINGS``.

It records one run for each line that it reads, and answers with a line. All findings of the host are there in every
other run, and gone in those between, so that each run changes each of them.
"""

from __future__ import annotations

import contextlib
import sys
import time

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.unit.plugins.plugin_utils.store.samples import finding, record


def main() -> None:
    """Record until the lines end."""
    url, host, findings = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with contextlib.closing(Store.open(url)) as store:
        for number, _line in enumerate(sys.stdin):
            now = time.time()
            there = [finding(f"/etc/file{item}", now, host) for item in range(findings)] if number % 2 == 0 else []
            record(store, now, there, host=host)
            print(number, flush=True)  # noqa: T201 (whoever started it waits for this line)


if __name__ == "__main__":
    main()
