# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benches share: a module as ansible-core sends it to a target, and the memory of what runs."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import typing as t

from tests.support import paths

# kB that a running process may gain between two readings.
_APART = 512


def payload(file: pathlib.Path, module: str, arguments: dict[str, t.Any]) -> list[str]:
    """Write what ansible-core would send to a target for this task; return the command that runs it there."""
    # Before anything of ansible-core is imported, which reads where collections are but once.
    found = module_loader().find_plugin_with_context(module)
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    built = modify_module(
        module_name=module,
        module_path=found.plugin_resolved_path,
        module_args={**arguments, "_ansible_check_mode": False},
        templar=Templar(loader=DataLoader()),
        task_vars={"ansible_python_interpreter": python(), "ansible_facts": {}},
        module_compression="ZIP_DEFLATED",
    )
    file.write_bytes(built.b_module_data)
    return [python(), str(file)]


@functools.cache
def module_loader() -> t.Any:
    paths.link_collection()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(paths.COLLECTIONS)
    from ansible.plugins.loader import init_plugin_loader, module_loader

    init_plugin_loader()
    return module_loader


def python() -> str:
    return shutil.which("python3", path="/usr/bin") or sys.executable


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def peak(command: list[str], output: t.IO[str] | int = subprocess.DEVNULL) -> dict[str, float]:
    """Run a command and return the largest sums of PSS and of RSS of its processes, in MB."""
    pss = rss = 0
    with subprocess.Popen(command, stdout=output) as process:
        while process.poll() is None:
            sizes = list(_family(process.pid, _sizes(process.pid)))
            pss = max(pss, sum(size.get("Pss", 0) for size in sizes))
            rss = max(rss, sum(size.get("Rss", 0) for size in sizes))
            time.sleep(0.01)
    return {"peak_mb": round(pss / 1000, 1), "peak_rss_mb": round(rss / 1000, 1)}


def _family(pid: int, own: dict[str, int]) -> t.Iterator[dict[str, int]]:
    """Yield the memory sizes of a process and of all below it. own: those of the process."""
    yield own
    children: list[str] = []
    with contextlib.suppress(OSError):
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in map(int, children):
        sizes = _sizes(child)
        # vfork(2): until its program begins, a child has the very memory of its parent, which counts once.
        yield from _family(child, {} if _is_same(sizes, _sizes(pid)) else sizes)


def _is_same(sizes: dict[str, int], of_parent: dict[str, int]) -> bool:
    """Say whether two processes have one memory, as sizes that are read one after the other show it."""
    names = ("Rss", "Pss", "Private_Dirty")
    return bool(sizes) and all(abs(sizes[name] - of_parent.get(name, 0)) <= _APART for name in names)


def _sizes(pid: int) -> dict[str, int]:
    """Return a process's memory sizes in kB by name, none when it is gone."""
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
    return {}
