# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of the AWX guide: two slices scan into one PostgreSQL, then a job writes the report."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import typing as t
import urllib.parse

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.support import artefact, execution_environment, postgresql
from tests.support.controllers import Controller

# The playbooks of the guide's projects.
_PLAYBOOKS = {
    block.partition("\n")[0].removeprefix("# "): block
    for language in ("yaml", "yaml+jinja")
    for block in execution_environment.blocks(language)
    if block.startswith(("# scan.yml\n", "# report.yml\n"))
}


class Jobs:
    """Jobs as AWX runs them: by ansible-runner, each in a container of its own with its part of the inventory."""

    def __init__(self, engine: Engine, image: str, fleet: Fleet, store: str, directory: pathlib.Path) -> None:
        self._engine = engine
        self._image = image
        self._fleet = fleet
        self._store = store
        self._directory = directory

    def run(self, name: str, playbook: str, hosts: t.Sequence[str], **extra: str) -> str:
        """Run a playbook on these hosts and return what it showed; AssertionError when it fails."""
        job = self._directory / name
        for folder in ("project", "inventory", "env"):
            (job / folder).mkdir(parents=True)
        (job / "project" / playbook).write_text(_PLAYBOOKS[playbook])
        inventory = json.loads(self._fleet.inventory.read_text())
        inventory["all"]["hosts"] = {host: inventory["all"]["hosts"][host] for host in hosts}
        (job / "inventory" / "hosts.json").write_text(json.dumps(inventory))
        (job / "env" / "envvars").write_text(json.dumps({"BULWARK_STORE": self._store}))
        (job / "env" / "extravars").write_text(json.dumps(extra))
        # Keys of the fleet, and the socket of the database.
        sockets = urllib.parse.parse_qs(urllib.parse.urlsplit(self._store).query)["host"][0]
        command = [str(pathlib.Path(sys.executable).with_name("ansible-runner")), "run", str(job), "-p", playbook]
        command += ["--process-isolation", "--process-isolation-executable", "docker"]
        command += ["--container-image", self._image, f"--container-option=--network={self._fleet.network}"]
        for path in (self._fleet.directory, sockets):
            command.append(f"--container-volume-mount={path}:{path}")
        result = subprocess.run(
            command,
            env={**os.environ, **execution_environment.environment(self._engine)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout
        return result.stdout


@pytest.mark.long
@pytest.mark.requires("root", "docker", "fleet", "postgresql", "module:ansible_runner")
def test_two_slices_scan_into_one_database_and_a_job_reports_both(
    controller: t.Callable[[str], Controller], fleet: Fleet, tmp_path: pathlib.Path
) -> None:
    build = tmp_path / "build"
    build.mkdir()
    built = artefact.build(controller("2.21"), tmp_path)
    image = execution_environment.ensure(fleet.engine, built, build)
    hosts = [host.name for host in fleet.start("trixie", "trixie")]
    with postgresql.running() as server:
        store_url = server.empty_database()
        jobs = Jobs(fleet.engine, image, fleet, store_url, tmp_path / "jobs")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            shown = list(pool.map(lambda host: jobs.run(f"slice-{host}", "scan.yml", [host]), hosts))
        jobs.run("report", "report.yml", [], bulwark_report_path="/runner/project/report.html")
        with contextlib.closing(Store.open(store_url, mode="read")) as store:
            runs = store.runs()
            covered = {entry.host for entry in store.coverage() if entry.status == "checked"}
    assert [(run.hosts, run.finished is not None) for run in runs] == [(1, True)] * 2
    assert covered == set(hosts)
    assert all(f"changed: [{host}]" in output for host, output in zip(hosts, shown, strict=True))
    page = (tmp_path / "jobs" / "report" / "project" / "report.html").read_text(encoding="utf-8")
    assert all(host in page for host in hosts)
