# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run all scripts on a whole host while fapolicyd enforces its allowlist, and say whose code ran nevertheless.

The same is done on such a host without fapolicyd: there each code must leave its proof, or the proof is worth nothing.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import shutil
import typing as t

from tests.integration.app_control._ways import measure, starters
from tests.integration.app_control._ways.host import SCRATCH
from tests.support import enforced_policy, enforcing_host

PACKAGES: t.Final = (
    "busybox-static",
    "default-jdk-headless",
    "gcc",
    "gdb",
    "git",
    "libc6-dev",
    "make",
    "nodejs",
    "perl",
    "python3-pip",
    "ruby",
    "runc",
    "vim",
    "zip",
)
_SHARED = "/var/lib/ways"
# All of a machine's hosts are in its audit log: another test looks there for what is below SCRATCH.
_SCRATCH: t.Final = f"{SCRATCH}-enforced"
# The last one is npm, of which Debian's package has hundreds of others.
_DIRECTORIES: t.Final = ("/opt/ways/bin", "/opt/ways/open", "/usr/local/lib/npm")
_AT_ONCE = 3
_CONTAINER_SCRIPTS: t.Final = {
    **starters.IN_UNKNOWN_CONTAINER,
    **{name: starters.IN_CONTAINER[name] for name in ("container_copy", "container_argument")},
}
# All of a machine's hosts have its interpreters: those of another test have other names and files.
_BINFMT = starters.SCRIPTS["binfmt"].replace("/ways", "/ways-other").replace(":ways:", ":ways-other:")
# fapolicyd marks a new mount a moment after it is there.
_UNTIL_MARKED = "for attempt in $(seq 25); do NAME > /dev/null 2>&1 || break; sleep 0.2; done"
_MOUNTED: t.Final = {"bind_mount": "ways-over", "bind_mount_undone": "ways-under"}
_IN_HOST: t.Final = {
    **{
        name: starters.SCRIPTS[name].replace(
            f"; {program}", f"; {_UNTIL_MARKED.replace('NAME', program)}; {program}", 1
        )
        for name, program in _MOUNTED.items()
    },
    **{name: starters.IN_CONTAINER[name] for name in ("systemd_run", "systemd_unit")},
    "binfmt": _BINFMT.replace("MAGIC", "OTHER"),
}
# The kernel starts its helper in a mount namespace that is not the host's.
_NOT_TRIED: t.Final = "core_pattern"
# Each line prints whether a trusted program runs: under another name, then under its own, then when that is undone.
# Nothing on the host runs ptx; tsort has run under its own name before.
_NAMES = f"""
try() {{ "$1" /dev/null > /dev/null 2>&1 && echo runs || echo refused; }}
ln /usr/bin/tac /usr/bin/tac-other; try tac-other; try tac; rm /usr/bin/tac-other; try tac
cp /usr/bin/true /usr/bin/ways-unknown
mounted() {{ mount --bind /usr/bin /mnt; {_UNTIL_MARKED.replace("NAME", "/mnt/ways-unknown")}; }}
mounted; try /mnt/ptx; try ptx; umount /mnt; try ptx
tsort /dev/null; mounted; try /mnt/tsort; try tsort; umount /mnt; try tsort
"""
_PREPARE = f"""
mkdir -p {_SHARED} {_SCRATCH}
systemctl stop cron unattended-upgrades
rm -f /run/crond.reboot
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
"""
# A container on an overlay, as container engines make it: with id(1) and busybox.
_CONTAINER = """
umount /sys/fs/cgroup/cpuset
for group in /sys/fs/cgroup/*; do ! mountpoint -q "$group" || mount -o remount,bind,rw "$group"; done
mkdir -p /opt/container/lower/bin /opt/container/lower/tmp /opt/container/upper /opt/container/work
mkdir /opt/container/rootfs
cd /opt/container
for file in /usr/bin/id $(ldd /usr/bin/id | grep -o '/[^ ]*'); do cp -L --parents "$file" lower; done
cp /usr/bin/busybox lower/bin/
for name in sh cp mkdir sleep; do ln -s busybox "lower/bin/$name"; done
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay rootfs
runc spec
python3 - <<'END'
import json
with open("config.json") as stream:
    config = json.load(stream)
config["process"].update(terminal=False, args=["sleep", "600"])
config["root"]["readonly"] = False
with open("config.json", "w") as stream:
    json.dump(config, stream)
END
runc run --detach ways < /dev/null > /dev/null 2>&1
"""


class Tried(t.NamedTuple):
    """ran: by name of the script whether its code ran. names: what _NAMES printed; restarted: and of all its programs
    after a restart of fapolicyd.
    """

    ran: dict[str, bool]
    names: str
    restarted: str


def tried(directory: pathlib.Path, enforcing: bool) -> Tried:
    """Run everything. directory: of the host."""
    with enforcing_host.booted(directory, packages=PACKAGES) as host:
        _add_npm(host)
        host.run(starters.PREPARE.replace(f"{SCRATCH}/", f"{_SCRATCH}/"))
        host.run(_PREPARE)
        host.run(starters.BEFORE)
        host.run(f"set -e\n{_CONTAINER}")
        if enforcing:
            digests = host.run(["sha256sum", *measure.APPROVED]).stdout
            packages = enforced_policy.packages(host)
            enforced_policy.deploy(host, measure.allowlist(packages, digests, _DIRECTORIES, directory))
            enforced_policy.start(host)
        scripts = {**starters.SCRIPTS, **_IN_HOST}
        last = scripts.pop(starters.LAST)
        del scripts[_NOT_TRIED]
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            started = {name: pool.submit(_output, host, name, script) for name, script in scripts.items()}
            outputs = {name: each.result() for name, each in started.items()}
        for name, script in _CONTAINER_SCRIPTS.items():
            outputs[name] = _output(host, name, script, "runc exec ways ")
        names = host.run(_NAMES).stdout
        if enforcing:
            enforced_policy.start(host)
        restarted = host.run("for name in tac ptx tsort; do $name /dev/null && echo runs; done", check=False).stdout
        outputs[starters.LAST] = _output(host, starters.LAST, last)
        ran = {name: _has_run(host, name, output) for name, output in outputs.items()}
        return Tried(ran, names, restarted)


def _output(host: enforcing_host.Host, name: str, script: str, enter: str = "") -> str:
    where = f"{_SCRATCH}/{name}"
    head = f"exec 2>&1; umask 022; mkdir -p {where}; cd {where}; D={where}; S={_SHARED}\n"
    # What the script leaves running has its output, too.
    host.run(f"exec {enter}/bin/sh -eu > {_SCRATCH}/{name}.out 2>&1", given=head + script, check=False)
    return host.run(["cat", f"{_SCRATCH}/{name}.out"]).stdout


def _has_run(host: enforcing_host.Host, name: str, output: str) -> bool:
    mapped = starters.MAPPED.get(name)
    if mapped is None:
        return starters.PROOF.search(output) is not None
    maps = host.run(f"cat /proc/$(cat {_SCRATCH}/{name}/pid)/maps", check=False).stdout
    return any(line.endswith(mapped) for line in maps.splitlines())


def _add_npm(host: enforcing_host.Host) -> None:
    npx = pathlib.Path(os.path.realpath(shutil.which("npx") or ""))
    shutil.copytree(npx.parents[1], host.path("/usr/local/lib/npm"), symlinks=True)
    host.run("ln -s ../lib/npm/bin/npx-cli.js /usr/local/bin/npx")
