# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real clamd with signatures of this test: it is noticed by its program, and asked over its socket."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import time
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.edr.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import products

from tests.support import waiting

# Another clamd on this machine is a process that pretends to be it.
pytestmark = [pytest.mark.requires("root", "command:clamd"), pytest.mark.xdist_group("clamd")]

CLAMD = "/usr/sbin/clamd"


@pytest.fixture
def clamd(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Yield the socket of a running clamd, at a path of its own: other tests and the machine may run one, too."""
    program = tmp_path / "clamd"
    shutil.copy(CLAMD, program)
    database = tmp_path / "database"
    database.mkdir()
    (database / "own.ndb").write_text("Bulwark.Test:0:*:%s\n" % b"bulwark-health-marker".hex())
    socket = tmp_path / "clamd.ctl"
    settings = f"DatabaseDirectory {database}\nLocalSocket {socket}\nForeground yes\nUser root\n"
    configuration = tmp_path / "clamd.conf"
    configuration.write_text(settings)
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen([str(program), "--config-file", str(configuration)], stdout=log, stderr=log) as process:
        try:
            waiting.until(socket.exists, seconds=60)
            yield socket
        finally:
            process.terminate()
            process.wait(30)


def look(socket: pathlib.Path, **given: t.Any) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return the result of a look for ClamAV alone, and ClamAV in it."""
    shipped = _payload.unpack(products.packed())["products"]["clamav"]
    queries = {"version": {**shipped["queries"]["version"], "sockets": [str(socket)]}}
    fields = {**shipped, "programs": [str(socket.parent / "clamd")], "queries": queries}
    content = payload.packed({"products": {"clamav": fields}})
    params = ArgumentSpecValidator(collect_spec()).validate({"_content": content, **given}).validated_parameters
    # A look at idle priority would leave this process there.
    result = collect({**params, "priority": "normal"}, False)
    (shown,) = result["products"]
    return result, shown


def test_a_running_clamd_says_its_version(clamd: pathlib.Path) -> None:
    start = time.monotonic()
    result, shown = look(clamd, expected=["clamav"])
    taken = time.monotonic() - start
    assert (shown["running"], shown["real_time"], result["missing"], result["detections"]) == (True, None, [], [])
    # It has no official database, so it does not say how old its signatures are.
    version = subprocess.run([CLAMD, "--version"], capture_output=True, text=True, check=True).stdout
    assert shown["version"] in version
    assert (shown["content"], shown["content_time"]) == (None, None)
    assert [entry["status"] for entry in result["coverage"]] == ["checked", "checked"]
    assert taken < 5, "a look takes 0.2 s; this only finds one that waits for something"


def test_a_frozen_clamd_does_not_run(clamd: pathlib.Path) -> None:
    """SIGSTOP is how to silence a daemon that systemd would start again."""
    (pid,) = (int(path.name) for path in pathlib.Path("/proc").glob("[0-9]*") if _runs(path, clamd.parent / "clamd"))
    os.kill(pid, signal.SIGSTOP)
    try:
        result, shown = look(clamd)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert shown["running"] is False
    (found,) = result["detections"]
    assert found["alert"] == "edr_stopped"
    assert found["message"] == "ClamAV is frozen: a signal or its control group has stopped its processes."


def _runs(process: pathlib.Path, program: pathlib.Path) -> bool:
    try:
        return (process / "exe").readlink() == program
    except OSError:
        return False
