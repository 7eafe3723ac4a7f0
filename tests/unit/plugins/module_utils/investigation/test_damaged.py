# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All sources on a root whose files are damaged at random: nothing raises, and all that is shown is safe to show."""

from __future__ import annotations

import gzip
import json
import pathlib
import random
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import accounts, files, logs, packages
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence import startups

from tests.unit.plugins.module_utils.investigation import test_packages, test_persistence
from tests.unit.plugins.module_utils.investigation.roots import Root, budget, wanted

_NOW = time.time()
_STAMP = time.strftime("%Y-%m-%dT%H:%M:%S+00:00 host ", time.gmtime(_NOW))
_ACCESS = time.strftime('203.0.113.9 - - [%d/%b/%Y:%H:%M:%S +0000] "POST /x?c=id HTTP/1.1" 200 1\n', time.gmtime(_NOW))
_CONTENTS: t.Mapping[str, bytes] = {
    **{name: content.encode() for name, content, _kind, _command in test_persistence._DEFINITIONS},
    "/etc/passwd": b"root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n",
    "/etc/group": b"sudo:x:27:bob,alice\n",
    "/etc/shadow": b"bob:$6$salt$hash:20001:0:99999:7:::\n",
    "/home/bob/.ssh/authorized_keys": b'no-pty,command="/dev/shm/x" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFordinary a\n',
    "/var/log/auth.log": "".join(
        f"{_STAMP}{text}\n"
        for text in (
            "sshd[5]: Failed password for bob from 203.0.113.9 port 5 ssh2",
            "sshd[4]: Accepted publickey for bob from 203.0.113.9 port 5 ssh2: ED25519 SHA256:" + "a" * 43,
            "systemd-logind[3]: New session 17 of user bob.",
            "sudo[9]: bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/id",
        )
    ).encode(),
    "/var/log/syslog": f"{_STAMP}sh[77]: x /dev/shm/x\n".encode(),
    "/var/log/nginx/access.log": _ACCESS.encode() * 3,
    "/var/log/apt/history.log": test_packages._APT.encode(),
    "/var/log/dpkg.log": test_packages._DPKG.encode(),
    "/var/log/dpkg.log.1.gz": gzip.compress(test_packages._DPKG.encode(), mtime=0),
    "/var/log/wtmp": bytes(384 * 3),
    "/run/systemd/sessions/4": b"UID=1000\nUSER=bob\nLEADER=41\nREALTIME=1796010219991194\n",
}
_PIECES = (
    b"\xff",
    b"\0",
    b"\n",
    b"\x1b[2J",
    b"\xc2\xb2",
    b"\xe2\x80\xae",
    b'"',
    b"\\",
    b":",
    b";",
    b"=",
    b"/",
    b"[",
    b"{",
    b"9",
)
_SOURCES: tuple[t.Callable[..., Facts], ...] = (
    *(files.gather, startups.gather, accounts.gather, packages.gather, logs.gather),
)


def _damaged(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _change in range(chance.randint(0, 6)):
        place = chance.randint(0, len(data))
        kind = chance.randint(0, 2)
        if kind == 0:
            del data[place : place + chance.randint(1, 20)]
        elif kind == 1:
            data[place:place] = chance.choice(_PIECES) * chance.randint(1, 5)
        else:
            data[place:place] = data[max(0, place - 30) : place] * chance.randint(1, 50)
    return bytes(data)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files_raise_nothing(tmp_path: pathlib.Path, seed: int) -> None:
    root = Root(tmp_path)
    chance = random.Random(seed)  # noqa: S311 - the same damage in each run, and no secret
    for name, content in _CONTENTS.items():
        root.write(name, _damaged(content, chance))
    process = Node("process:77@1", "php", {"name": "php", "cgroup": "/session-4.scope"}, first=_NOW)
    names = ("file:/dev/shm/x", "file:/etc/cron.d/x", "address:203.0.113.9", "account:1000", "package:nginx")
    host = root.host()

    for gather in _SOURCES:
        facts = gather(host, wanted(process, *names), budget())

        nodes = [node._asdict() for node in facts.nodes]
        json.dumps([nodes, [link._asdict() for link in facts.links]], allow_nan=False).encode("utf-8")
        assert all((node.id + node.label).isprintable() for node in facts.nodes)
        assert all(event.text.isprintable() for event in facts.events)
