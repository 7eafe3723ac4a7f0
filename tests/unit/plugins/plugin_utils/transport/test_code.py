# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of all looks travels, and they work as they do in their modules."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib
import json
import pathlib
import typing as t
import zlib

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import archive
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Look

from tests.support import paths
from tests.unit.plugins.plugin_utils.transport.hosts import Host

_COLLECTION = "ansible_collections.bulwark.servers.plugins"

# Scans the memory of the processes that run the looks, as a scan of the whole host does.
_PROBE = """
import os

from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.collect import collect


def probe(params, check_mode):
    parent = os.getppid()
    own = [parent, _process.stat(parent).parent]
    blind = {**params, "pids": own, "_own_processes": []}
    return {"scanned": collect({**params, "pids": own}, check_mode), "unaware": collect(blind, check_mode)}
"""


@pytest.fixture
def whole_host(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Host:
    """Return a host that gets the code that looks need, and the probe."""
    sources = _sources()
    text = json.dumps({**sources, "probe.py": _PROBE}, sort_keys=True).encode("ascii")
    packed = base64.b64encode(zlib.compress(text, 1)).decode("ascii")
    monkeypatch.setattr(archive, "load", lambda: archive.Archive(packed, hashlib.sha256(text).hexdigest()))
    return Host(tmp_path / "state")


def test_a_memory_scan_takes_the_processes_that_run_it_for_its_own(whole_host: Host) -> None:
    params = ArgumentSpecValidator(collect_spec()).validate({"full": True}).validated_parameters
    rules = content.compiled([], True).packed

    result = whole_host.ask(Look("m", "probe:probe", params, content={"_content": rules})).looks["m"]

    assert _seen(result["unaware"]) == (2, 1), "an interpreter that takes its program from a pipe is a finding"
    assert _seen(result["scanned"]) == (0, 0)


def _seen(result: dict[str, t.Any]) -> tuple[int, int]:
    return result["memory_scan"]["processes"], len(result["detections"])


def test_the_archive_is_the_same_wherever_it_is_made() -> None:
    assert archive.make(archive.CODE) == archive.load()
    assert len(archive.load().packed) < 1_200_000


def test_no_look_needs_what_the_archive_leaves_out() -> None:
    sources = _sources()
    there = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in sources}
    needed = {"scan.host": "the scan"}
    for file in sorted((paths.ROOT / "plugins/action").glob("*.py")):
        action = importlib.import_module(f"{_COLLECTION}.action.{file.stem}").ActionModule
        entry = getattr(action, "ENTRY", None)
        if entry is not None:
            needed[entry.function.partition(":")[0]] = file.name
    for name, text in sources.items():
        needed.update(dict.fromkeys(_imports(text), name))
    assert {module: by for module, by in needed.items() if module not in there} == {}


@pytest.mark.parametrize("left_out", archive.LEFT_OUT)
def test_what_is_left_out_is_there(left_out: str) -> None:
    assert (archive.CODE / left_out).exists()


def _sources() -> dict[str, str]:
    sources: dict[str, str] = json.loads(zlib.decompress(base64.b64decode(archive.load().packed)))
    return sources


def _imports(text: str) -> t.Iterator[str]:
    """Yield the modules below ``module_utils`` that a file imports, wherever in it."""
    prefix = f"{_COLLECTION}.module_utils"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == prefix:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{prefix}."):
            package = (node.module or "").removeprefix(f"{prefix}.")
            yield package
            # A name of a package is a module, or something in its own file.
            for alias in node.names:
                path = f"{package}.{alias.name}".replace(".", "/")
                if (archive.CODE / f"{path}.py").exists() or (archive.CODE / path).is_dir():
                    yield path.replace("/", ".")
