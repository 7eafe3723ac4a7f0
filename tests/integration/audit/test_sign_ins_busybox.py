# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-ins in what the syslogd of BusyBox writes, as on Alpine."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import collect_spec

from tests.integration.audit import test_sign_ins

pytestmark = pytest.mark.requires("root", "command:busybox", "command:unshare")

# Log daemons listen at a fixed place, so that this one gets a /dev of its own.
_START = """
mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3
busybox syslogd -n $2 -O "$1" &
tries=0
until [ -S /dev/log ] || [ $tries -gt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
daemon=$!
"$3" -c "$4"
sleep 0.2
"$3" "$5" alive
kill $daemon
wait $daemon
"$3" "$5" dead
"""
_SCAN = """
import json, pathlib, sys
sys.path[:0] = {path!r}
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places
places = Places([{log!r}], ["none"], "never", wtmp="none", btmp="none", lastlog="none", events=list)
coverage = collect.collect({params!r}, True, places)["coverage"][0]
pathlib.Path({directory!r}, sys.argv[1]).write_text(json.dumps(coverage))
"""
_SEND = """
import socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect("/dev/log")
for number in range(41):
    said = "Failed" if number < 40 else "Accepted"
    log.send(b"<38>Nov 28 12:00:50 sshd[%d]: %s password for root from 192.0.2.1 port %d ssh2"
             % (500 + number, said.encode(), 1000 + number))
log.send(b"<37>su: + /dev/pts/0 alice:root")
log.send(b"<37>su: - /dev/pts/0 alice:root")
"""


@pytest.mark.parametrize("options", ["", "-S"])
def test_what_busybox_writes_is_understood(tmp_path: pathlib.Path, options: str) -> None:
    log = tmp_path / "messages"
    stamp = time.strftime("%b %e %H:%M:%S")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _START, "sh", str(log), options]
    send = _SEND.replace("Nov 28 12:00:50", stamp)
    params = {name: option.get("default") for name, option in collect_spec().items()}
    params.update({"state_dir": str(tmp_path / "state"), "_token": "", "_advance": False, "_content": ""})
    script = tmp_path / "scan.py"
    script.write_text(_SCAN.format(path=sys.path, log=str(log), params=params, directory=str(tmp_path)))
    subprocess.run([*command, sys.executable, send, script], check=True, timeout=60, stdin=subprocess.DEVNULL)
    # A scan over a local connection: its message comes to the log while the daemon runs.
    alive, dead = (json.loads((tmp_path / name).read_text()) for name in ("alive", "dead"))
    assert (alive["status"], alive["skipped"]) == ("checked", [])
    assert "a message that it sent arrived in the logs" in alive["note"]
    assert dead["status"] == "partial"
    assert [one["reason"] for one in dead["skipped"]] == [
        "no log daemon listens at /dev/log: nothing is logged there now"
    ]
    result = test_sign_ins.look(tmp_path, log="messages")
    assert (result["sign_ins"]["failures"], result["sign_ins"]["successes"]) == (41, 2)
    assert (result["coverage"][0]["status"], result["coverage"][0]["skipped"]) == ("checked", [])
    assert "ssh_brute_force_succeeded" in test_sign_ins.alerts(result)
