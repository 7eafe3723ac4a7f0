# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs docker_benchmark_info's code on a host of the tests, and prints its result: COLLECTIONS OPTIONS [PID].

PID: the engine to look at, where others of this machine are seen, too.
"""

from __future__ import annotations

import json
import sys


def main(collections: str, chosen: str, engine: str = "") -> None:
    sys.path.insert(0, collections)
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import processes
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.collect import collect
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import collect_spec

    found = processes.daemons
    if engine:
        processes.daemons = lambda: [daemon for daemon in found() if daemon.pid == int(engine)]
    params = {name: option.get("default") for name, option in collect_spec().items()}
    json.dump(collect({**params, "priority": "normal", **json.loads(chosen)}, True), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
