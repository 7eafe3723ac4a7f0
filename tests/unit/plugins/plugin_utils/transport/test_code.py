# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole code travels, and its looks work as they do in their modules."""

from __future__ import annotations

import base64
import hashlib
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

from tests.unit.plugins.plugin_utils.transport.hosts import Host

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
    """Return a host that gets all of the collection's code, and the probe."""
    sources = json.loads(zlib.decompress(base64.b64decode(archive.load().packed)))
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
