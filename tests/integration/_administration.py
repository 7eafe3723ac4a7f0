# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordinary administration, recorded by a real audit daemon with the collection's rules, and what detections say of it.

All of it belongs to one login user, by which its events are told from those of whatever else the machine does. What
runs in containers has no login user; it is told by its descent from the container engine's processes.
"""

from __future__ import annotations

import pathlib
import platform
import re
import subprocess
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_rules import content, text, words
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import look
from ansible_collections.bulwark.servers.plugins.plugin_utils import audit_rules, catalogue, detections

from tests.support import audit

# No account has it. The kernel's rules about people begin at 1000.
LOGIN_USER = 54321
_AS_PERSON = f'echo {LOGIN_USER} > /proc/self/loginuid && exec "$@"'
_ENGINE = ("/dockerd", "/containerd", "/containerd-shim-runc-v2", "/runc", "/docker-init", "/docker-proxy")
_EVENT = re.compile(rb"msg=audit\(([^)]+)\)")
_CALL = re.compile(
    rb'^type=SYSCALL msg=audit\(([^)]+)\): .*? ppid=(\d+) pid=(\d+) auid=(\d+) .*? exe="?([^" ]+)', re.MULTILINE
)
_BACKLOG = 32768
# Other tests wait for the kernel's audit system meanwhile.
_SECONDS = 120

# What administrators do, by name; each is a script that starts in an empty directory.
SCRIPTS: t.Final[t.Mapping[str, str]] = {
    "packages": """
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q
        apt-get install -q -y --no-install-recommends hello cron
        apt-get install -q -y --reinstall hello
        apt-get -s upgrade
        apt-get purge -q -y hello cron
    """,
    "compile": r"""
        printf '#include <stdio.h>\nint main(void) { return puts("hi") < 0; }\n' > hi.c
        printf 'all: hi\nhi: hi.c\n\t$(CC) -O2 -Wall -o hi hi.c\ncheck: hi\n\t./hi\n' > Makefile
        make -j2
        make check
        make -B CC='gcc -pipe'
    """,
    "git": """
        git init -q one
        cd one
        git config user.email alice@example.com
        git config user.name Alice
        date > file
        git add file
        git commit -q -m First
        git log
        git gc -q
        git clone -q . ../two
    """,
    "pip": """
        /usr/bin/python3 -m venv environment
        environment/bin/pip install -q --no-cache-dir --disable-pip-version-check six
        environment/bin/python -c 'import six'
    """,
    "housekeeping": r"""
        echo one > app.log
        printf '%s/app.log {\n rotate 2\n size 1\n compress\n postrotate\n  true\n endscript\n}\n' "$PWD" > rotate
        /usr/sbin/logrotate --state "$PWD/state" --force rotate
        test ! -x /etc/cron.daily/dpkg || /etc/cron.daily/dpkg
    """,
    "ssh": r"""
        ssh-keygen -q -t ed25519 -N '' -f host
        ssh-keygen -q -t ed25519 -N '' -f alice
        printf '%s\n' 'Port 22099' 'ListenAddress 127.0.0.1' "HostKey $PWD/host" "PidFile $PWD/pid" \
            "AuthorizedKeysFile $PWD/alice.pub" 'StrictModes no' 'UsePAM no' > configuration
        mkdir -p -m 0755 /run/sshd
        $(command -v sshd) -f "$PWD/configuration"
        ssh -p 22099 -l root -i alice -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile="$PWD/known" 127.0.0.1 \
            'uptime; df -h; free -m; ps aux | head -3; tail -n 3 /var/log/dpkg.log'
        kill "$(cat pid)"
    """,
    "look": r"""
        ls -la /etc /var/log
        cat /etc/os-release
        uname -a
        grep -r Port /etc/ssh/sshd_config
        find /etc -name '*.conf' -mtime -1
        tar czf backup.tar.gz /etc/default
        ss -tln
        sed -i s/a/b/ /dev/null || true
        sysctl -n kernel.hostname
        ip addr
        ps aux > processes
        chmod 640 processes
    """,
}
# Enough of an attack to see that what is quiet above isn't deaf.
ATTACK = """
    cp /bin/true /dev/shm/bulwark-administration
    /dev/shm/bulwark-administration
    rm /dev/shm/bulwark-administration
    bash -c 'echo aWQK | base64 -d | sh'
"""


class Recording:
    """The kernel with the collection's rules, and a daemon that writes down what happens."""

    def __init__(self, daemon: audit.Daemon, directory: pathlib.Path) -> None:
        self._daemon, self._directory = daemon, directory

    def run(self, name: str, *command: str) -> None:
        """Run a command as the login user, in a directory of its own; AssertionError with its output if it fails."""
        directory = self._directory / name
        directory.mkdir()
        answer = subprocess.run(
            ["/bin/sh", "-c", _AS_PERSON, "sh", *command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
        assert answer.returncode == 0, f"{name}: {answer.stdout.decode(errors='replace')}"

    def script(self, name: str, script: str) -> None:
        self.run(name, "/bin/bash", "-euc", script)

    def findings(self) -> tuple[list[dict[str, t.Any]], int]:
        """Return what the detections find in the events up to now, each with its severity, and how many those are."""
        self._daemon.settle()
        log = self._directory / f"selected-{len(list(self._directory.iterdir()))}.log"
        log.write_bytes(selected(self._daemon.text().encode("utf-8", "surrogateescape")))
        known = catalogue.load()
        options = {"paths": [str(log)], "since": None, "time_budget": 0, "max_findings": 1000, "priority": "normal"}
        state = {"state_dir": str(self._directory / "state"), "_token": None, "_advance": False}
        found = look.look({**options, **state, "_content": detections.load().payload}, check_mode=True)
        for detection in found["detections"]:
            detection["severity"] = detection["severity"] or known.alert(detection["alert"]).severity
        return found["detections"], found["audit_events"]["events"]


def deploy(kernel: audit.Kernel, directory: pathlib.Path) -> None:
    """Load the rules that a host gets unless it asks for others."""
    machine = words.native(platform.machine()) or "x86_64"
    groups = [(group["name"], group["rules"]) for group in audit_rules.chosen_groups(None, None, None)]
    chosen = content.select(content.Wish(groups, (), (), ()), text.Host(machine), modern=True)
    file = directory / "rules"
    file.write_text("".join(f"{text.show(rule, machine)}\n" for rule in chosen.rules))
    file.chmod(0o600)
    kernel.control("-b", str(_BACKLOG))
    kernel.control("-R", str(file))


def selected(log: bytes) -> bytes:
    """Return the records of events that belong to the login user or to containers."""
    calls = list(_CALL.finditer(log))
    family: set[bytes] = set()
    wanted: set[bytes] = set()
    for call in calls:
        event, parent, process, person, image = call.groups()
        if image.decode(errors="replace").endswith(_ENGINE) or parent in family:
            family.add(process)
        if int(person) == LOGIN_USER or process in family:
            wanted.add(event)
    lines = log.splitlines(keepends=True)
    return b"".join(line for line in lines if (found := _EVENT.search(line)) and found.group(1) in wanted)
