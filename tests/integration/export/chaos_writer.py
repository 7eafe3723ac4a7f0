# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that record hosts again and again: ``chaos_writer.py URL FINDINGS HOST...``, a process for each host.

All record one run for each line that is read here, and when the last has done so, a line answers. All findings of a
host are there in every other run, and gone in those between, so that each run changes each of them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.unit.plugins.plugin_utils.store.samples import finding, record


def _write(url: str, host: str, findings: int, turns: t.Any) -> None:
    """Record a host whenever a number comes, and send it back."""
    with contextlib.closing(Store.open(url)) as store:
        while True:
            number = turns.recv()
            now = time.time()
            subjects = [f"/etc/file{item}" for item in range(findings if number % 2 == 0 else 0)]
            record(store, now, [finding(each, now, host, evidences=[_evidence(each)]) for each in subjects], host=host)
            turns.send(number)


def _evidence(path: str) -> dict[str, t.Any]:
    """Return a short one: here it counts how many changes there are."""
    return {"file": {"name": path.rpartition("/")[2], "path": path, "type": "Regular File", "type_id": 1}}


def main() -> None:
    """Record until the lines end; a writer that failed ends this."""
    url, findings, hosts = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    # Forks, as Ansible has them; each would need longer for its imports than for its work.
    context = multiprocessing.get_context("fork")
    ends = []
    for host in hosts:
        ours, theirs = context.Pipe()
        context.Process(target=_write, args=(url, host, findings, theirs), daemon=True).start()
        theirs.close()
        ends.append(ours)
    for number, _line in enumerate(sys.stdin):
        for end in ends:
            end.send(number)
        for end in ends:
            end.recv()
        print(number, flush=True)  # noqa: T201 (whoever started it waits for this line)


if __name__ == "__main__":
    main()
