# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An investigation of a disk alone: no process runs any more, and there are no audit records."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import collect, options
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Investigation

from tests.integration.investigation import _disk

pytestmark = pytest.mark.requires("root", "command:mkfs.ext4", "command:debugfs", "command:ssh-keygen")


class _Disk(t.NamedTuple):
    path: pathlib.Path
    fingerprint: str
    proc: str


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[_Disk]:
    directory = tmp_path_factory.mktemp("disk")
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)], check=True)
    listed = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True).stdout
    fingerprint, public = listed.split()[1], key.with_suffix(".pub").read_text(encoding="ascii").strip()
    proc = directory / "proc"
    proc.mkdir()
    with _disk.mounted(directory, fingerprint, public) as point:
        yield _Disk(point, fingerprint, str(proc))


def _investigate(disk: _Disk, **subject: str) -> Investigation:
    params = {name: option.get("default") for name, option in options.collect_spec().items()}
    params.update(subject, priority="normal", audit_logs=["/nonexistent/audit.log"])
    host = Host(os.fsencode(disk.path), proc=disk.proc, now=_disk.NOW)
    investigation, _coverage = collect.investigate(options.parse(params), host, frozenset())
    return investigation


def _named(investigation: Investigation) -> set[str]:
    """Return the paths, addresses and sessions that are named, a startup and its file once."""
    return {node.id.partition(":")[2] for node in investigation.nodes if node.kind not in ("package", "account")}


@pytest.mark.parametrize("path", [_disk.IMPLANT, _disk.WEB_SHELL, _disk.CRON, _disk.UNIT])
def test_all_that_was_planted_is_named_and_nearly_nothing_else(disk: _Disk, path: str) -> None:
    investigation = _investigate(disk, path=path)

    named = _named(investigation)
    expected = {*_disk.PLANTED, _disk.INTRUDER, _disk.CONTROL, "99"}
    assert len(named & expected) >= 0.9 * len(expected), f"missing: {expected - named}"
    assert len(named - expected) <= 0.1 * len(named), f"unrelated: {named - expected}"


def test_the_timeline_tells_what_happened(disk: _Disk) -> None:
    investigation = _investigate(disk, path=_disk.IMPLANT)

    told = [(round(event.time - _disk.BEGAN), event.by, event.text) for event in investigation.events]
    assert (0, "file system", f"{_disk.WEB_SHELL} was made") in told
    assert (60, "file system", f"{_disk.IMPLANT} was made") in told
    text = f"deploy signed in from {_disk.INTRUDER} with the key {disk.fingerprint}"
    assert any(by == "auth log" and each == text for _time, by, each in told)
    assert any(each.startswith(f"CRON: (root) CMD ({_disk.IMPLANT}") for _time, _by, each in told)
    assert told == sorted(told, key=lambda each: each[0])


def test_times_that_were_set_show(disk: _Disk) -> None:
    investigation = _investigate(disk, path=_disk.LIBRARY)

    (library,) = [node for node in investigation.nodes if node.id == f"file:{_disk.LIBRARY}"]
    assert "Its content is dated before the file was made" in library.facts["signs"][0]


def test_an_ordinary_job_leads_to_itself_only(disk: _Disk) -> None:
    named = _named(_investigate(disk, path="/srv/report/run.sh"))

    assert {"/srv/report/run.sh", "/etc/cron.d/report", "192.0.2.80"} <= named
    assert not named & {*_disk.PLANTED, _disk.INTRUDER, _disk.CONTROL}
