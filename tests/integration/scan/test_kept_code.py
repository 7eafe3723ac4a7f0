# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody with root's rights puts code of their own where scans keep theirs: it is not run, but reported."""

from __future__ import annotations

import pathlib
import typing as t

from tests.fleet.fleet import Fleet
from tests.integration import _scans
from tests.support import require
from tests.support.controllers import Controller

_KEPT = "/var/lib/bulwark/scan"
_MARKER = "/ran"
# Code of the form that is kept, in which each module leaves a mark.
_FOREIGN = f"""
import glob, marshal
(path,) = glob.glob("{_KEPT}/code-*")
modules = marshal.load(open(path, "rb"))
code = marshal.dumps(compile("open('{_MARKER}', 'a').close()", "foreign", "exec"))
marshal.dump({{name: (is_package, code) for name, (is_package, _) in modules.items()}}, open("/foreign", "wb"))
print(path)
"""
# What somebody does on a host, with the path of the kept code as $1, and the reason that the finding has. What else can
# be done is in the unit test of what is kept (plugin_utils/transport/test_kept.py).
_DEEDS = {
    "cat /foreign > $1": "has another content",
    "ln -sf /foreign $1": "is not a regular file",
    "cat /foreign > $1; chown nobody $1": "belongs to user 65534",
}
# The same with the directory above, and what is to be done about it.
_ABOVE = {f"cat /foreign > $1; mv {_KEPT} /moved; ln -s /moved {_KEPT}": "is a symbolic link"}


def test_what_was_changed_is_not_run_but_reported_once(
    fleet: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    require("fleet")
    deeds = {**_DEEDS, **_ABOVE}
    hosts = dict(zip(deeds, fleet.start(*["trixie"] * len(deeds)), strict=True))
    scanner = _scans.Scanner(controller("2.21"), fleet.inventory, tmp_path)

    def scan() -> None:
        scanner.scan("--forks=6", bulwark_capabilities=["jit_access"], environment={"ANSIBLE_PIPELINING": "True"})
        for deed, host in hosts.items():
            assert scanner.coverage()[host.name].status == "checked", deed

    scan()
    for deed, host in hosts.items():
        path = host.run("python3", "-c", _FOREIGN)
        host.run("/bin/sh", "-euc", deed, "sh", path)
    scan()
    for deed, host in hosts.items():
        assert host.run("ls", _MARKER, check=False) == "", deed
        ((alert, subject),) = scanner.open(host.name)
        assert (alert, subject.startswith(_KEPT)) == ("scan_code_changed", True), deed
        (found,) = scanner.findings(host.name)
        assert f"It {deeds[deed]}" in found.event["message"], deed
    for deed in _ABOVE:
        hosts[deed].run("rm", "-rf", _KEPT)
    scan()
    for deed, host in hosts.items():
        (found,) = scanner.findings(host.name)
        assert (found.count, host.run("ls", _MARKER, check=False)) == (1, ""), deed
