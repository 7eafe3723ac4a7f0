# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies on trial that lock people out, on a real host: who proposes them there, and what the host was before.

What is proposed comes to the host as the module brings it there, and was never judged: the host's own judgement would
refuse it.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shlex
import shutil
import subprocess
import time
import typing as t

from tests.support import enforcing_host, paths, waiting

_TOP = "/root/collection"
_PROPOSE = "/root/propose.py"
# On the file system that is watched, as all that it opens.
_RUNNING = "run/bulwark/trials/fapolicyd.running"
_LISTED = "cd /etc/fapolicyd; find . -printf '%p %m %U:%G %T@ %l\\n' | sort; find . -type f -exec sha256sum {} + | sort"

# Arguments: what the policy lacks, where its run is killed, seconds of the trial.
_SCRIPT = """
import json, os, signal, sys, time
sys.path.insert(0, "/root/collection")
TOP = "ansible_collections.bulwark.servers.plugins.module_utils."
from importlib import import_module
daemon, deployment, on_trial, proof, policy, state, trial, trust, dead_man, records = (
    import_module(TOP + name) for name in (
        "fapolicyd.daemon", "app_control.enforcement.deployment", "app_control.enforcement.on_trial", "fapolicyd.proof",
        "app_control.enforcement.policy", "app_control.enforcement.state", "host_trial.trial", "fapolicyd.trust",
        "host_trial.dead_man", "firewall.records"))
lacks, phase, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def killed(module, name, before=True):
    function = getattr(module, name)
    def run(*arguments):
        result = None if before else function(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(module, name, run)

with open("/root/trusted.json") as stream:
    trusted = [trust.Trusted(*each) for each in json.load(stream) if each[0] != lacks]
settings = {"permissive": "0"}
if lacks == "room":
    settings["db_max_size"] = "1"
    trusted += [trust.Trusted("/usr/share/none/%d" % number, number, "0" * 64) for number in range(40000)]
# It finds a database that is full, and tests of its own show that.
proof.prove = lambda *_arguments: None
rules = ("allow perm=any all : trust=1", "deny_audit perm=execute all : all",
         "deny_audit perm=open all : ftype=application/x-sharedlib")
files = deployment.files(policy.Policy("enforce", rules, tuple(trusted), settings), daemon.DIRECTORY)
if phase == "deploy":
    for path, data in files.items():
        os.makedirs(os.path.dirname(os.path.join(daemon.DIRECTORY, path)), exist_ok=True)
        with open(os.path.join(daemon.DIRECTORY, path), "wb") as stream:
            stream.write(data)
    sys.exit()
points = {"before the trial": (trial, "start"), "before the change": (trial, "start", False),
          "mounted": (daemon, "reload_units"), "before its check": (on_trial, "check")}
def over(*arguments):
    token = start(*arguments)
    while trial.current(state.TRIAL):
        time.sleep(0.1)
    return token

start = trial.start
if phase == "too late":
    trial.start = over
if phase in points:
    killed(*points[phase])
before = state.Before({}, {}, False, False, ())
with state.directory(None, create=True) as where:
    with where.locked(records.LOCK, 0):
        running = trial.current(state.TRIAL)
        if running is None:
            on_trial.recover(where)
        proposed = state.Deployed("enforce", deployment.digests(files), {}, before, "", {}, 0.0, "", {})
        token, left = on_trial.begin(where, daemon.installed(), proposed, files, seconds)
        print("began", flush=True)
        if phase == "confirming":
            killed(trial, "confirm")
            on_trial.confirm(where, token, ["ssh.service"])
        elif phase == "asked":
            killed(dead_man, "ask", False)
            on_trial.confirm(where, token, [])
"""


class TriedHost:
    """A host with a former policy in /etc/fapolicyd."""

    def __init__(self, host: enforcing_host.Host) -> None:
        self.host = host
        target = host.path(f"{_TOP}/ansible_collections/bulwark/servers/plugins/module_utils")
        shutil.copytree(paths.ROOT / "plugins/module_utils", target, ignore=shutil.ignore_patterns("__pycache__"))
        host.path(_PROPOSE).write_text(_SCRIPT)
        # All that a session leaves behind is killed when it ends.
        host.path("/etc/systemd/logind.conf.d").mkdir()
        host.path("/etc/systemd/logind.conf.d/kill.conf").write_text("[Login]\nKillUserProcesses=yes\n")
        host.run("systemctl restart systemd-logind")
        host.run(["python3", "-c", _TRUST], seconds=60)
        host.run(["python3", _PROPOSE, "nothing", "deploy", "0"])

    def set_active(self, is_active: bool) -> None:
        self.host.run(f"systemctl reset-failed fapolicyd; systemctl {'start' if is_active else 'stop'} fapolicyd")

    def state(self) -> tuple[str, str, str]:
        """Return files, mounts and the daemon's state as an administrator sees them."""
        shown = "systemctl show --property=ActiveState,SubState,Result,Restart,UnitFileState,DropInPaths fapolicyd"
        # Sessions have mounts of their own.
        mounts = "findmnt -rno TARGET,SOURCE | grep -v ^/run/user/"
        files, mounted, unit = (self.host.run(command).stdout for command in (_LISTED, mounts, shown))
        return files, mounted, unit

    def propose(self, lacks: str, phase: str, seconds: int) -> subprocess.Popen[str]:
        """Propose a policy through ssh; its standard output says when it is on trial."""
        command = ["python3", _PROPOSE, lacks, phase, str(seconds)]
        words = ["ssh", "-F", "none", "-q", "-l", "root", *self.host.ssh_options(), self.host.address]
        streams: dict[str, t.Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*words, shlex.join(command)], text=True, **streams)

    @property
    def record(self) -> pathlib.Path:
        """Return the record of a trial that runs, by a way that nothing decides about."""
        return pathlib.Path(f"/proc/{self.host.pid}/root/{_RUNNING}")

    def await_return(self, *programs: subprocess.Popen[str]) -> float:
        """Wait until runs and their trial have ended; return the seconds that it took."""
        begin, ended = 0.0, 0.0

        def is_over() -> bool:
            nonlocal begin, ended
            have_ended = all(program.poll() is not None for program in programs)
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                begin = json.loads(self.record.read_text())["started"]
                ended = 0.0
                return False
            ended = ended or time.clock_gettime(time.CLOCK_BOOTTIME)
            return have_ended

        waiting.until(is_over, "the trial did not end")
        return ended - begin if begin else 0.0

    def daemons(self) -> list[int]:
        """Return the daemons that run there, as this machine numbers them."""
        shown = self.host.run("pidof fapolicyd", check=False).stdout
        return [self.host.outside(int(number)) for number in shown.split()]

    def is_refused(self, *command: str) -> bool:
        return self.host.run(["/bin/sh", "-c", 'exec "$@"', "sh", *command], check=False).returncode == 126

    def lets_people_in(self) -> bool:
        """Say whether an account comes in by ssh, becomes root and runs Python, as Ansible does."""
        return self.host.ssh("sudo -n python3 -c 'print(6 * 7)'", user="ansible").stdout == "42\n"


# All programs and libraries, as a policy of all packages has them.
_TRUST = """
import hashlib, json, os
found = []
for top in ("/usr", "/etc", "/var/lib/dpkg/info"):
    for above, _directories, names in os.walk(top):
        for path in (os.path.join(above, name) for name in names):
            if os.path.isfile(path) and not os.path.islink(path) and " " not in path:
                if os.stat(path).st_mode & 0o111 or ".so" in path:
                    with open(path, "rb") as stream:
                        data = stream.read()
                    found.append((path, len(data), hashlib.sha256(data).hexdigest()))
with open("/root/trusted.json", "w") as stream:
    json.dump(found, stream)
"""
