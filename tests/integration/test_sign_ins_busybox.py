# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-ins in what the syslogd of BusyBox writes, as on Alpine."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

import pytest

from tests.integration import test_sign_ins

pytestmark = pytest.mark.requires("root", "command:busybox", "command:unshare")

# Log daemons listen at a fixed place, so that this one gets a /dev of its own.
_START = """
mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3
busybox syslogd -n $2 -O "$1" &
tries=0
until [ -S /dev/log ] || [ $tries -gt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
"$3" -c "$4"
sleep 0.2
kill $!
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
    subprocess.run([*command, sys.executable, send], check=True, timeout=30, stdin=subprocess.DEVNULL)
    result = test_sign_ins.look(tmp_path, log="messages")
    assert (result["sign_ins"]["failures"], result["sign_ins"]["successes"]) == (41, 2)
    assert (result["coverage"][0]["status"], result["coverage"][0]["skipped"]) == ("checked", [])
    assert "ssh_brute_force_succeeded" in test_sign_ins.alerts(result)
