# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is automation, with a real sshd, a real kernel and a real audit daemon; and root that imitates it."""

from __future__ import annotations

import ipaddress
import pathlib
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.automation import listeners
from ansible_collections.bulwark.servers.plugins.module_utils.automation.sessions import Sessions

from tests.support import audit, sshd
from tests.support.sigma import rule, used

pytestmark = [
    pytest.mark.requires(*sshd.NEEDS, "command:auditd", "command:mount"),
    pytest.mark.xdist_group("audit"),
]

_RULE = rule(
    {"s": {"CommandLine|contains": "bulwark-explained"}, "condition": "s"},
    bulwark={"subject": ["CommandLine"], "explained_by": {"automation": "informational"}},
)
# Sets its account, says that it signed in from the controller, and starts something.
_FORGED = r"""
import os, socket, struct, subprocess, sys
uid, address = sys.argv[1:]
with open("/proc/self/loginuid", "w") as stream:
    stream.write(uid)
text = (
    'op=PAM:session_open grantors=pam_unix acct="alice" exe="/usr/lib/openssh/sshd-session" '
    "hostname=%s addr=%s terminal=ssh res=success" % (address, address)
).encode() + b"\0"
audit = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
audit.sendto(struct.pack("=IHHII", 16 + len(text), 1105, 1, 1, 0) + text, (0, 0))
subprocess.run(["/bin/sh", "-c", "true; : bulwark-explained-forged"], check=True)
"""
# The kernel calls this Python /usr/sbin/sshd, as in a container that has one of that name.
_AS_SSHD = 'mount --bind "$1" /usr/sbin/sshd; shift; exec /usr/sbin/sshd "$@"'


@pytest.fixture
def log(tmp_path: pathlib.Path) -> t.Iterator[tuple[sshd.Server, listeners.Listeners, bytes]]:
    """Return the server, its daemon, and the log of sign-ins and of one that was forged."""
    with (
        sshd.server(tmp_path / "sshd", pam=["session required pam_loginuid.so"]) as server,
        audit.locked() as kernel,
        audit.daemon(tmp_path, kernel) as daemon,
    ):
        kernel.add("-a always,exit -F arch=b64 -S execve")
        assert server.run(sshd.ACCOUNT, "/bin/sh -c 'true; : bulwark-explained-session'")
        forged = ["sh", "-ec", _AS_SSHD, "sh", sys._base_executable, "-c", _FORGED, str(sshd.UID), server.client]
        subprocess.run(["unshare", "--mount", "--propagation", "private", *forged], check=True, timeout=30)
        daemon.settle()
        yield server, listeners.running(), daemon.text().encode("utf-8", "surrogateescape")


def severities(text: bytes, network: str, daemons: listeners.Listeners) -> dict[str, set[str]]:
    """Return the severities of what happened in the session, and in what was forged."""
    explainer = Sessions([sshd.ACCOUNT], [ipaddress.ip_network(network)], daemons)
    reader = Reader(used(_RULE), {}, explainers=[explainer])
    reader.read(text)
    reader.finish(time.time() + 10)
    found: dict[str, set[str]] = {"session": set(), "forged": set()}
    for detection in reader.tally.detections(100)[0]:
        # Who starts it all has the command in its own line, too.
        if "/bin/sh -c true; : bulwark-explained-" in detection["subject"]:
            found["forged" if "-forged" in detection["subject"] else "session"].add(detection["severity"])
    return found


def test_only_a_real_sign_in_from_the_controller_explains(
    log: tuple[sshd.Server, listeners.Listeners, bytes],
) -> None:
    server, daemons, text = log
    # The imitation is complete: account, program and record.
    assert b'exe="/usr/sbin/sshd"' in text
    assert text.count(b'acct="alice" exe="/usr/lib/openssh/sshd-session" hostname=' + server.client.encode()) > 1
    own = severities(text, server.client, daemons)
    assert own == {"session": {"informational"}, "forged": {"high"}}
    assert severities(text, "192.0.2.1", daemons) == {"session": {"high"}, "forged": {"high"}}
