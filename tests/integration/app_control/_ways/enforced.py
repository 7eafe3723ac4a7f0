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
import re
import shutil
import typing as t

from tests.integration.app_control._ways import starters
from tests.integration.app_control._ways.host import SCRATCH
from tests.support import enforcing_host, waiting

PACKAGES: t.Final = (
    "busybox-static",
    "default-jdk-headless",
    "docker-cli",
    "docker.io",
    "gcc",
    "gdb",
    "git",
    "libc6-dev",
    "make",
    "nodejs",
    "perl",
    "python3-pip",
    "ruby",
    "vim",
    "zip",
)
_SHARED = "/var/lib/ways"
_AT_ONCE = 3
_IN_HOST: t.Final = {name: starters.IN_CONTAINER[name] for name in ("systemd_run", "systemd_unit")}
_PREPARE = f"""
mkdir -p {_SHARED} {SCRATCH}
systemctl stop cron unattended-upgrades
rm -f /run/crond.reboot
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
"""
_RULES = """%interpreters={interpreters}
%languages=application/x-bytecode.python,application/java-archive,text/x-java,application/x-java-applet,\
application/javascript,text/javascript,text/x-awk,text/x-gawk,text/x-lua,text/x-perl,text/x-php,text/x-python,\
text/x-ruby,text/x-shellscript,text/x-tcl
allow perm=any all : trust=1
allow perm=any all : dir=/opt/ways/bin/
deny perm=execute all : all
deny perm=any pattern=ld_so : all
deny perm=open exe=%interpreters : ftype=%languages
deny perm=open all : ftype=application/x-sharedlib
"""
_TRUST = """
import hashlib, os, stat
with open("/etc/fapolicyd/trust.d/all.trust", "w") as trust:
    for top in ("/usr", "/opt/ways", "/var/lib/dpkg/info", "/etc/init.d"):
        if top == "/opt/ways":
            paths = ["/opt/ways/tool", "/opt/ways/linked", "/opt/ways/linked_too"]
        else:
            paths = [os.path.join(where, name) for where, _names, names in os.walk(top) for name in names]
        for path in paths:
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and " " not in path and not path.startswith("/usr/share/doc"):
                digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
                trust.write(f"{path} {status.st_size} {digest}\\n")
"""
_INTERPRETERS = "sh bash python3 perl ruby node awk busybox vim java gdb"


def ran(directory: pathlib.Path, enforcing: bool) -> dict[str, bool]:
    """Return by name of the script whether its code ran. directory: of the host."""
    with enforcing_host.booted(directory, packages=PACKAGES) as host:
        _add_npm(host)
        host.run(starters.PREPARE)
        host.run(_PREPARE)
        host.run(starters.BEFORE)
        if enforcing:
            _enforce(host)
        scripts = {**starters.SCRIPTS, **_IN_HOST}
        last = scripts.pop(starters.LAST)
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            outputs = dict(zip(scripts, pool.map(lambda name: _output(host, name, scripts[name]), scripts)))
        outputs[starters.LAST] = _output(host, starters.LAST, last)
        for name, output in outputs.items():
            (directory / f"{name}.out").write_text(output)
        return {name: _has_run(host, name, output) for name, output in outputs.items()}


def _output(host: enforcing_host.Host, name: str, script: str) -> str:
    where = f"{SCRATCH}/{name}"
    head = f"exec 2>&1; umask 022; mkdir -p {where}; cd {where}; D={where}; S={_SHARED}\n"
    # What the script leaves running has its output, too.
    host.run(f"exec /bin/sh -eu > {SCRATCH}/{name}.out 2>&1", given=head + script, check=False)
    return host.run(["cat", f"{SCRATCH}/{name}.out"]).stdout


def _has_run(host: enforcing_host.Host, name: str, output: str) -> bool:
    mapped = starters.MAPPED.get(name)
    if mapped is None:
        return starters.PROOF.search(output) is not None
    maps = host.run(f"cat /proc/$(cat {SCRATCH}/{name}/pid)/maps", check=False).stdout
    return any(line.endswith(mapped) for line in maps.splitlines())


def _add_npm(host: enforcing_host.Host) -> None:
    """Copy npm: Debian's package of it has hundreds of others."""
    npx = pathlib.Path(os.path.realpath(shutil.which("npx") or ""))
    shutil.copytree(npx.parents[1], host.path("/usr/local/lib/npm"), symlinks=True)
    host.run("ln -s ../lib/npm/bin/npx-cli.js /usr/local/bin/npx")


def _enforce(host: enforcing_host.Host) -> None:
    found = host.run(f"for name in {_INTERPRETERS}; do readlink -f $(command -v $name); done").stdout.split()
    rules = _RULES.format(interpreters=",".join(sorted(set(found))))
    host.path("/etc/fapolicyd/rules.d/10-ways.rules").write_text(rules)
    file = host.path("/etc/fapolicyd/fapolicyd.conf")
    file.write_text(re.sub(r"(?m)^allow_filesystem_mark = 0$", "allow_filesystem_mark = 1", file.read_text()))
    host.run(["python3", "-c", _TRUST])
    host.run("cp /usr/bin/true /root/canary; systemctl restart fapolicyd")
    waiting.until(lambda: host.run("/root/canary", check=False).returncode == 126, "fapolicyd enforces nothing")
