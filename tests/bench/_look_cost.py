# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks of a scan cost on a host by themselves: without connection, Python's start, imports and arguments.

A scan of the tree that sends one module a look leaves its modules on the host (ANSIBLE_KEEP_REMOTE_FILES). Each that
only reads is run there again, as it is, and with an option that it refuses once everything is imported and parsed. The
look is the difference in processor time.
"""

from __future__ import annotations

import json
import re

from tests.fleet.hosts import Host

_SENT = "/home/ansible/.ansible/tmp"
_ARGUMENTS = re.compile(rb'(\\*")ANSIBLE_MODULE_ARGS(\\*"): ?\{')
_REFUSED = rb"\g<1>ANSIBLE_MODULE_ARGS\g<2>: {\g<1>bulwark_bench_refused\g<2>: 1, "
# Runs both forms of each in turns and prints the differences of the seconds.
_PROGRAM = """
import json, os, resource, subprocess, sys
def seconds(path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = subprocess.call([sys.executable, path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
found = {}
for path in sys.argv[2:]:
    for _round in range(int(sys.argv[1])):
        code, whole = seconds(path)
        refused, start = seconds(path + ".refused")
        if code or not refused:
            sys.exit("%s ended with %d, and with %d when it was to refuse its arguments" % (path, code, refused))
        found.setdefault(path, []).append(whole - start)
print(json.dumps(found))
"""


def seconds(host: Host, rounds: int) -> dict[str, list[float]]:
    """Return the processor time of each look whose module is on the host, by the module's name, once a round.

    There is none if the tree sends its looks in another way.
    """
    found = host.shell(f"find {_SENT} -name 'AnsiballZ_*_info.py'").split()
    for path in found:
        module, count = _ARGUMENTS.subn(_REFUSED, host.read(path))
        if count != 1:
            raise RuntimeError(f"the arguments in {path} are not where this ansible-core is known to put them")
        host.write(f"{path}.refused", module)
    measured = json.loads(host.run("python3", "-c", _PROGRAM, str(rounds), *found))
    looks: dict[str, list[float]] = {}
    for path, values in measured.items():
        name = re.sub(r".*/AnsiballZ_(\w+)\.py", r"\1", path)
        # A module that is sent twice is two looks.
        looks[name] = [sum(pair) for pair in zip(looks.get(name, [0.0] * rounds), values, strict=True)]
    return looks
