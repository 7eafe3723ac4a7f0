# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that earlier scans found, and containers that no engine lists."""

from __future__ import annotations

import contextlib
import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import (
    accounts,
    facts,
    files,
    insides,
    known_engines,
    processes,
)

_MAIN = "unix:///run/docker.sock"


@pytest.fixture
def root() -> t.Iterator[files.Root]:
    with contextlib.closing(files.Root("/", accounts.local_names())) as opened:
        yield opened


@pytest.mark.parametrize("name", ["docker.sock", "b\udcffd\n.sock", "docker.sock (2)"])
def test_an_engine_stays_known_as_long_as_the_directory_of_its_socket_is_there(
    root: files.Root, tmp_path: pathlib.Path, name: str
) -> None:
    directory = tmp_path / "\udcff"
    directory.mkdir()
    known = printable(f"unix://{directory}/{name}")
    assert not known_engines.is_gone(known, root, True)
    assert not known_engines.is_gone(known, root, False)
    directory.rmdir()
    assert known_engines.is_gone(known, root, True)


@pytest.mark.parametrize("name", [_MAIN, f"{_MAIN} (2)"])
@pytest.mark.parametrize("is_installed", [True, False])
def test_the_usual_engine_is_gone_when_none_is_installed(root: files.Root, name: str, is_installed: bool) -> None:
    assert known_engines.is_gone(name, root, is_installed) is not is_installed


@pytest.mark.parametrize(
    "name",
    [
        "tcp://127.0.0.1:2376",
        "unix://@docker",
        f"{_MAIN} in container web",
        f"{_MAIN} in another mount namespace",
        f"{_MAIN} in another mount namespace (2)",
    ],
)
def test_what_has_no_socket_on_the_host_is_gone(root: files.Root, name: str) -> None:
    assert known_engines.is_gone(name, root, True)


@pytest.mark.parametrize("name", ["unix:///run/\\q/docker.sock", "unix:///run/\\x00/docker.sock"])
def test_a_name_that_is_no_path_is_never_gone(root: files.Root, name: str) -> None:
    assert not known_engines.is_gone(name, root, False)


def test_only_engines_that_were_not_found_are_missing(root: files.Root) -> None:
    known = [_MAIN, "unix:///run/b\\xff.sock", "unix:///run/other.sock", "tcp://127.0.0.1:2376"]
    found = [_MAIN, "unix:///run/b\udcff.sock"]
    (missing,) = known_engines.missing(known, found, root, True, saw_all=True)
    assert missing[0] == "unix:///run/other.sock"
    assert "it does not run now; start it, or forget" in missing[1]


def test_nothing_is_gone_where_not_every_process_was_looked_at(root: files.Root) -> None:
    known = ["unix:///run/other.sock", f"{_MAIN} in container web"]
    missing = dict(known_engines.missing(known, [], root, True, saw_all=False))
    assert list(missing) == known
    assert all("could not look at every process" in reason for reason in missing.values())


def test_containers_that_no_engine_lists_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, unlisted, young, own, podman = ("%x" % number * 64 for number in range(10, 15))
    groups = {each: f"/system.slice/docker-{each}.scope" for each in (listed, unlisted, young, own)}
    groups[podman] = f"/machine.slice/libpod-{podman}.scope"
    groups["web"] = "/machine.slice/machine-web.scope"
    pids = {container: [number] for number, container in enumerate(groups)}
    contained = processes.Contained(pids, frozenset(groups.values()))
    monkeypatch.setattr(processes, "contained", lambda: contained)
    monkeypatch.setattr(processes, "own_container", lambda: own)
    monkeypatch.setattr(processes, "runs_since", lambda pid, _since: pid not in pids[young])
    inside = insides.Insides(Deadline(60))
    engines = [
        facts.Engine(_MAIN, facts.RUNNING, containers=(facts.Container(listed, "web", {}, True),)),
        facts.Engine("unix:///run/other.sock", facts.SILENT),
    ]
    assert inside.unlisted(engines, 0) == [unlisted]


def test_a_process_runs_since_it_was_started() -> None:
    assert processes.runs_since(os.getpid(), processes.ticks())
    assert not processes.runs_since(os.getpid(), 1)
