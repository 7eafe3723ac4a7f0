# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the kernel itself records of executions, while the audit daemon runs."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import options
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import Observed, observe

from tests.support import audit

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]

LOADER = "/lib64/ld-linux-x86-64.so.2"
RULES = ("-a always,exit -F arch=b64 -S execve,execveat -F key=x", "-a always,exit -F arch=b32 -S execve,execveat")
IN_MEMORY = """
import os
memory = os.memfd_create("bulwark test")
os.write(memory, open("/bin/true", "rb").read())
os.execve(memory, ["nginx"], {})
"""


def look(log: pathlib.Path, state: pathlib.Path, token: str | None = None) -> tuple[Observed, str]:
    state.mkdir(mode=0o700, exist_ok=True)
    given = {"paths": [str(log)], "state_dir": str(state), "priority": "normal", "_advance": True, "_token": token}
    observed = observe({name: option.get("default") for name, option in options.look_spec().items()} | given, False)
    saved = observed.save()
    assert saved is not None
    return observed, saved["token"]


def counts(observed: Observed, directory: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Return the new executions and the content of what lies in a directory, or is in memory."""
    return {
        f"{kind} {path.removeprefix(str(directory) + '/')}": (record.new_executions, record.program.content)
        for (_image, kind, path), record in observed.records.items()
        if path.startswith((str(directory), "/memfd:bulwark"))
    }


def run(*command: str | pathlib.Path, **given: t.Any) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **given)


def make(directory: pathlib.Path) -> None:
    shutil.copy("/bin/true", directory / "tool")
    (directory / "symbolic").symlink_to("tool")
    os.link(directory / "tool", directory / "other name")
    for name, text in (("script", "#!/bin/sh\n./tool\n"), ("plain", "exit 0\n"), ("read", "exit 0\n")):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)


def act(directory: pathlib.Path) -> None:
    """Run code in ways that differ in what the kernel records."""
    run("./tool", cwd=directory)
    run(directory / "symbolic")
    run(directory / "other name")
    run("./script", cwd=directory)
    run("/bin/bash", "-e", "plain", cwd=directory)
    run("/bin/sh", "-c", ". ./read", cwd=directory)
    if pathlib.Path(LOADER).exists():
        run(LOADER, directory / "tool")
    shutil.copy("/bin/true", directory / "brief\nname")
    run(directory / "brief\nname")
    (directory / "brief\nname").unlink()
    run("/usr/bin/python3", "-c", IN_MEMORY)


def test_what_the_kernel_records(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "own"
    directory.mkdir()
    make(directory)
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel) as daemon, contextlib.ExitStack() as stack:
        kernel.add(*RULES)
        act(directory)
        lasting = stack.enter_context(subprocess.Popen(["/bin/sleep", "60"], executable=_copy(directory / "lasting")))
        stack.callback(lasting.kill)
        daemon.settle()
        first, token = look(daemon.log, tmp_path / "state")
        assert counts(first, directory) == {
            # By its name, by a link, and by a script; what the loader was told to run is of the log, too.
            "program tool": (3 + pathlib.Path(LOADER).exists(), "present"),
            # A hard link is a name of its own.
            "program other name": (1, "present"),
            "script script": (1, "present"),
            "script plain": (1, "present"),
            "program brief\\nname": (1, "gone"),
            "program /memfd:bulwark test": (1, "memory"),
            # It was executed once, and is not counted again as a process that runs.
            "program lasting": (1, "present"),
        }
        script = next(record for identity, record in first.records.items() if identity[2] == str(directory / "script"))
        tool = next(record for identity, record in first.records.items() if identity[2] == str(directory / "tool"))
        assert str(directory / "script") in tool.parents
        assert script.program.interpreter == os.path.realpath("/bin/sh")
        skipped = {entry["subject"]: entry["reason"] for entry in first.scopes[0].entry()["skipped"]}
        assert "executions" not in skipped
        assert first.host["days"] >= 1
        kernel.clear()
        second, _token = look(daemon.log, tmp_path / "state", token)
        assert counts(second, directory)["program lasting"] == (0, "present")
        skipped = {entry["subject"]: entry["reason"] for entry in second.scopes[0].entry()["skipped"]}
        assert "no audit rule for all executions" in skipped["executions"]


def _copy(path: pathlib.Path) -> pathlib.Path:
    shutil.copy("/bin/sleep", path)
    return path
