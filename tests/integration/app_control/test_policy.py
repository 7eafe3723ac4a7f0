# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A compiled policy on a real host: administrators notice nothing, and what nobody allowed does not run, as predicted.

fapolicyd runs with --debug-deny, so that it tells each refusal itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import LIBRARY, PROGRAM, SCRIPT, Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import QUEUE, Policy
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.refusals import blocked
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import config, rules, trust

from tests.integration.app_control._enforced_host import EnforcedHost
from tests.support import enforcing_host, waiting

pytestmark = [pytest.mark.requires(*enforcing_host.NEEDS, "command:gcc"), pytest.mark.xdist_group("enforce")]

_LOG = "/run/refused"
_UNIT = f"""[Service]
Type=simple
PIDFile=
ExecStart=
ExecStart=/usr/sbin/fapolicyd --debug-deny
StandardError=append:{_LOG}
"""
_REFUSED = re.compile(r"rule=(\d+) dec=\S+ perm=(\S+) .* exe=(\S+) : path=(\S+)")
# Programs, scripts and libraries that nobody allowed, and some that somebody did.
_PREPARE = """
mkdir -p /opt/app/bin /opt/own /srv/any /opt/pattern /home/ansible/bin
for path in /opt/app/bin/tool /opt/own/tool '/opt/own/a tool' /opt/evil /opt/expired /opt/pattern/x /home/ansible/bin/x
do
    cp /usr/bin/id "$path"
done
cp /usr/bin/env /srv/any/copy
cp /usr/bin/env /opt/for-ansible
cp /usr/bin/nice /opt/any
cp /usr/bin/nice /home/ansible/any
install -d -o ansible /srv/ansible
install -o ansible /usr/bin/id /srv/ansible/own
for name in sh python3 perl; do printf '#!/usr/bin/%s\n' $name > /opt/script.$name; done
printf '#!/bin/sh\n' > /opt/app/script.sh
cp /opt/script.python3 /home/ansible/bin/x.python3
printf ':\n' > /opt/plain.sh
chmod 755 /opt/script.* /opt/app/script.sh
ln -s /opt/app/bin/tool /usr/local/bin/linked
"""
_LIBRARY = """
#include <unistd.h>
%s
__attribute__((constructor)) static void loaded(void) { write(2, "LOADED\\n", 7); }
"""
# A library that names a run-time linker, for which fapolicyd takes it for a program.
_WITH_LINKER = 'const char linker[] __attribute__((section(".interp"))) = "/lib64/ld-linux-x86-64.so.2";'

# More processes than fapolicyd has room for by itself: each asks for a file of its own.
_CROWD = """
import os, sys
start, asked = os.pipe(), os.pipe()
children = []
for number in range(1200):
    open("crowd-%d" % number, "w").close()
    children.append(os.fork())
    if not children[-1]:
        os.close(start[1])
        os.read(start[0], 1)
        os.write(asked[1], b"a")
        try:
            os.open("crowd-%d" % number, os.O_RDONLY)
        except OSError:
            os._exit(1)
        os._exit(0)
print("ready", flush=True)
sys.stdin.readline()
os.close(start[1])
for _child in children:
    os.read(asked[0], 1)
print("asked", flush=True)
print(sum(os.waitpid(child, 0)[1] != 0 for child in children), "refused", flush=True)
"""


class PolicyHost(EnforcedHost):
    def refused(self) -> list[tuple[str, str, str]]:
        """Return (permission, program, path) of each refusal since this was asked last, those of the canary aside."""
        # The daemon writes a line before it answers, so whatever ran before was written.
        text = self.host.run(f"cat {_LOG}; : > {_LOG}").stdout
        refused = [match.groups()[1:] for match in map(_REFUSED.search, text.splitlines()) if match]
        return [each for each in refused if each[2] != "/root/canary"]

    def policy(self) -> Policy:
        lines = self.host.path("/etc/fapolicyd/rules.d/00-bulwark.rules").read_text().splitlines()
        trusted = trust.parse(self.host.path("/etc/fapolicyd/trust.d/bulwark.trust").read_bytes())
        return Policy("enforce", tuple(line for line in lines if not line.startswith("#")), tuple(trusted), {})


def _processor_ticks(host: enforcing_host.Host) -> int:
    """Return what the daemon has used of the processor (proc_pid_stat(5): utime and stime)."""
    fields = host.run("cat /proc/$(pidof fapolicyd)/stat").stdout.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _digest(host: enforcing_host.Host, path: str) -> str:
    return hashlib.sha256(host.path(path).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[PolicyHost]:
    directory = tmp_path_factory.mktemp("policy")
    with enforcing_host.booted(directory, packages=("busybox", "logrotate", "perl")) as host:
        host.run(_PREPARE)
        _compile_libraries(host)
        host.path("/etc/systemd/system/fapolicyd.service.d").mkdir()
        host.path("/etc/systemd/system/fapolicyd.service.d/test.conf").write_text(_UNIT)
        host.run("systemctl daemon-reload")
        conf = host.path("/etc/fapolicyd/fapolicyd.conf")
        conf.write_text(config.changed(conf.read_text(), {"q_size": QUEUE}))
        same, other = _digest(host, "/usr/bin/id"), _digest(host, "/usr/bin/env")
        more = [
            Rule("web", directory="/opt/app"),
            Rule("web", sha256=same, path="/opt/own/tool"),
            Rule("web", sha256=same, path="/opt/own/a tool"),
            Rule("web", sha256=same, path="/srv/ansible/own"),
            Rule("web", sha256=_digest(host, "/usr/bin/nice")),
            Rule("web", sha256=same, path="/usr/bin/id", image="nginx:1"),
        ]
        exemptions = [
            Exemption("/opt/for-ansible", "", "me", sha256=other, user="ansible", until=time.time() + 86_400),
            Exemption("/opt/expired", "", "me", sha256=same, until=time.time() - 1),
            Exemption("/opt/pattern/*", "", "me"),
        ]
        yield PolicyHost(host, (), more, exemptions)


def _compile_libraries(host: enforcing_host.Host) -> None:
    for name, text in (("library.so", ""), ("program.so", _WITH_LINKER)):
        command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(host.path(f"/opt/{name}"))]
        subprocess.run(command, input=(_LIBRARY % text).encode(), check=True)


def test_what_was_deployed_is_what_the_host_s_own_tools_make_of_it(enforced: PolicyHost) -> None:
    host = enforced.host
    host.run("printf '  # a comment\n\nallow perm=open all : path=/x' > /etc/fapolicyd/rules.d/9-x.rules")
    host.run("printf '%%x=/x\n   \n#\nallow perm=open all : path=%%x\n' > /etc/fapolicyd/rules.d/10-x.rules")
    where = str(host.path("/etc/fapolicyd/rules.d"))
    names = rules.files(where)
    assert names == ["00-bulwark.rules", "9-x.rules", "10-x.rules"]
    host.run("fagenrules")
    texts = [host.path(f"/etc/fapolicyd/rules.d/{name}").read_bytes() for name in names]
    assert host.path("/etc/fapolicyd/compiled.rules").read_bytes() == rules.compiled(
        texts, awk=str(host.path("/usr/bin/mawk"))
    )
    host.run("rm /etc/fapolicyd/rules.d/9-x.rules /etc/fapolicyd/rules.d/10-x.rules; fagenrules")


def test_booted_host_refuses_nothing_that_administrators_do(enforced: PolicyHost) -> None:
    host = enforced.host
    host.run("apt-get --version; python3 -c 'import json, ssl, ctypes, sqlite3'; command -v ldd")
    host.reboot()
    waiting.until(enforced.is_enforcing, "the canary runs")
    assert host.run("systemctl is-active fapolicyd cron ssh rsyslog").returncode == 0
    for user in ("root", "ansible"):
        assert host.ssh("bash -lic 'id -un'", user=user).stdout == f"{user}\n"
        host.ssh(
            "python3 -c 'import json, ssl, ctypes, sqlite3, subprocess; subprocess.run([\"true\"], check=True)'",
            user=user,
        )
    assert host.ssh("sudo -n -i id -un; sudo -n su - root -c 'id -un'", user="ansible").stdout == "root\nroot\n"
    services = host.run(
        "systemctl list-units --type=service --state=running --plain --no-legend | cut -d' ' -f1"
    ).stdout
    wanted = [name for name in services.split() if not name.startswith(("fapolicyd", "systemd-nsresourced", "user@"))]
    host.run(["systemctl", "restart", *wanted])
    host.run("run-parts /etc/cron.daily; logrotate --force /etc/logrotate.conf")
    host.run("ldd /usr/bin/ls; tar --create --file=/dev/null /root /opt /home /etc; rm -rf /tmp/x; cp -a /opt /tmp/x")
    host.run("echo 'echo 1' > /root/.profile; bash -lc true; sh -c '. /etc/profile'")
    # It copies libraries, and packs them where they are not trusted.
    host.run("mkdir -p /lib/modules/6.0.0; mkinitramfs -o /tmp/initrd 6.0.0 2>&1", seconds=120)
    assert host.run("cpio --version >/dev/null; lsinitramfs /tmp/initrd").stdout.count("libc.so") == 1
    assert enforced.refused() == []


_WAYS: t.Final[dict[str, tuple[str, str, str, str]]] = {
    "unknown program": ("root", "/opt/evil", PROGRAM, "/opt/evil"),
    "unknown program of a user": ("ansible", "/home/ansible/bin/x", PROGRAM, "/home/ansible/bin/x"),
    "program of an expired exception": ("root", "/opt/expired", PROGRAM, "/opt/expired"),
    "program of a pattern": ("root", "/opt/pattern/x", PROGRAM, "/opt/pattern/x"),
    "program of another user's exception": ("root", "/opt/for-ansible", PROGRAM, "/opt/for-ansible"),
    "program by the run-time linker": ("ansible", "/lib64/ld-linux-x86-64.so.2 /opt/evil", PROGRAM, "/opt/evil"),
    "preloaded library": ("root", "LD_PRELOAD=/opt/library.so id 2>&1 | grep -q LOADED", LIBRARY, "/opt/library.so"),
    "library like a program": (
        "ansible",
        "A=1 LD_PRELOAD=/opt/program.so id 2>&1 | grep -q LOADED",
        LIBRARY,
        "/opt/program.so",
    ),
    "library in a program that copies": (
        "ansible",
        "A=1 LD_PRELOAD=/opt/library.so cp --version 2>&1 | grep -q LOADED",
        LIBRARY,
        "/opt/library.so",
    ),
    "shell script": ("root", "/opt/script.sh", SCRIPT, "/opt/script.sh"),
    "shell script by its interpreter": ("root", "sh /opt/script.sh", SCRIPT, "/opt/script.sh"),
    "sourced script": ("ansible", ". /opt/script.sh", SCRIPT, "/opt/script.sh"),
    "script by its standard input": ("ansible", "bash < /opt/script.sh", SCRIPT, "/opt/script.sh"),
    "script of another shell": ("root", "busybox sh /opt/script.sh", SCRIPT, "/opt/script.sh"),
    "Perl script by its interpreter": ("root", "perl /opt/script.perl", SCRIPT, "/opt/script.perl"),
    "Python script": ("root", "/opt/script.python3", SCRIPT, "/opt/script.python3"),
    "Python script by its interpreter": ("ansible", "python3 bin/x.python3", SCRIPT, "/home/ansible/bin/x.python3"),
}
_INTERPRETERS = {"sh": "/usr/bin/dash", "python3": "/usr/bin/python3.13", "perl": "/usr/bin/perl"}


@pytest.mark.parametrize("way", _WAYS)
def test_what_nobody_allowed_does_not_run_and_that_was_predicted(enforced: PolicyHost, way: str) -> None:
    user, command, kind, path = _WAYS[way]
    enforced.refused()
    assert enforced.host.ssh(command, user=user, check=False).returncode != 0
    assert path in {refused for _permission, _exe, refused in enforced.refused()}
    is_given = kind == SCRIPT and not command.startswith(path)
    interpreter = _INTERPRETERS[path.rpartition(".")[2]] if is_given else ""
    record = Record(Program(kind, path, interpreter=interpreter), 1.0, 1.0, [1], users=[user])
    assert [each.path for each in blocked(enforced.policy(), [record], {"ansible": 1000})] == [path]


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("root", "/opt/app/bin/tool"),
        ("ansible", "/opt/app/bin/tool"),
        ("ansible", "linked"),
        ("ansible", "/opt/app/script.sh"),
        ("ansible", "sh /opt/app/script.sh"),
        ("root", "/opt/own/tool"),
        ("ansible", "'/opt/own/a tool'"),
        ("ansible", "/opt/for-ansible true"),
        ("ansible", "/opt/any"),
        # Said to be seen only: what begins with no line for an interpreter, and what root has Python read.
        ("ansible", "sh /opt/plain.sh"),
        ("root", "python3 /opt/script.python3"),
        ("root", "python3 /home/ansible/bin/x.python3"),
        ("ansible", "python3 /opt/script.python3"),
    ],
)
def test_what_somebody_allowed_runs(enforced: PolicyHost, user: str, command: str) -> None:
    enforced.refused()
    enforced.host.ssh(command, user=user)
    assert enforced.refused() == []


def test_changed_program_is_refused_until_it_is_what_it_was(enforced: PolicyHost) -> None:
    host = enforced.host
    assert enforced.runs("/usr/bin/true")
    host.run("cp -p /usr/bin/true /root/before; cp /usr/bin/id /usr/bin/true.new; mv /usr/bin/true.new /usr/bin/true")
    assert not enforced.runs("/usr/bin/true")
    host.run("mv /root/before /usr/bin/true")
    assert enforced.runs("/usr/bin/true")


def test_mount_namespaces_of_others_are_not_watched_which_is_said(enforced: PolicyHost) -> None:
    enforced.host.ssh("unshare --map-root-user --mount /home/ansible/bin/x", user="ansible")
    enforced.host.run("systemd-run --quiet --wait --property=PrivateTmp=yes /opt/evil")


@pytest.mark.parametrize("path", ["/home/ansible/any", "/srv/ansible/own"])
def test_content_allows_nothing_that_an_account_can_change_unseen(enforced: PolicyHost, path: str) -> None:
    # The daemon keeps what it knows of a file as long as size and time are the same, which its owner can set.
    assert enforced.host.ssh(path, user="ansible", check=False).returncode == 126


def test_large_files_of_accounts_are_not_hashed_while_everybody_waits(enforced: PolicyHost) -> None:
    host = enforced.host
    host.ssh("truncate -s 8G large; chmod 755 large", user="ansible")
    before = _processor_ticks(host)
    assert host.ssh("./large", user="ansible", check=False).returncode == 126
    # To hash it takes some seconds.
    assert _processor_ticks(host) - before < os.sysconf("SC_CLK_TCK")


def test_accounts_with_many_processes_have_nothing_refused_nor_the_daemon_killed(enforced: PolicyHost) -> None:
    host = enforced.host
    daemon = int(host.run("pidof fapolicyd").stdout)
    process = host.outside(daemon)
    words = ["ssh", "-F", "none", "-q", "-l", "ansible", *host.ssh_options(), host.address, "python3", "-c"]
    with subprocess.Popen([*words, shlex.quote(_CROWD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as crowd:
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == b"ready\n"
        os.kill(process, signal.SIGSTOP)
        try:
            crowd.stdin.write(b"go\n")
            crowd.stdin.flush()
            assert crowd.stdout.readline() == b"asked\n"
        finally:
            os.kill(process, signal.SIGCONT)
        assert crowd.stdout.readline() == b"0 refused\n"
    assert int(host.run("pidof fapolicyd").stdout) == daemon


def test_setuid_copy_gives_nobody_anything(enforced: PolicyHost) -> None:
    enforced.host.run("cp /usr/bin/id /opt/setuid; chmod 4755 /opt/setuid")
    assert enforced.host.ssh("/opt/setuid", user="ansible", check=False).returncode == 126
