# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a laptop's SQLite file to PostgreSQL and back, with the playbook, between scans of this machine."""

from __future__ import annotations

import pathlib
import re
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Coverage

from tests.integration import _scans
from tests.support import postgresql
from tests.support.controllers import THIS_MACHINE, controller
from tests.unit.plugins.plugin_utils.store import copies

# One worker, and so one server, for all of them.
pytestmark = [
    pytest.mark.requires("root", "postgresql", "module:psycopg"),
    pytest.mark.xdist_group("postgresql"),
]


@pytest.fixture(scope="module")
def server() -> t.Iterator[postgresql.Server]:
    with postgresql.running() as started:
        yield started


class Site:
    """This machine with a small watch and a log of its own."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.scanner = _scans.Scanner(controller("2.21"), THIS_MACHINE, directory)
        self.file = directory / "watched" / "file"
        self.file.parent.mkdir()
        self.file.write_text("as it should be")
        self._log, self._port = directory / "auth.log", 0
        self._variables: dict[str, t.Any] = {
            "bulwark_become": False,
            "bulwark_capabilities": "file_integrity,audit",
            "file_integrity_state_dir": str(directory / "state"),
            "file_integrity_default_watches": False,
            "file_integrity_watches": [{"name": "site", "paths": [str(self.file.parent)]}],
            "audit_state_dir": str(directory / "state"),
            "audit_sign_in_paths": [str(self._log)],
            "audit_log_paths": [str(directory / "audit.log")],
            "audit_journal": "never",
        }

    def log(self, message: str, times: int = 1) -> None:
        """Write a line of sshd about somebody at 192.0.2.1."""
        for _time in range(times):
            self._port += 1
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            with self._log.open("a") as log:
                log.write(f"{stamp} web1 sshd[{self._port}]: {message} from 192.0.2.1 port {self._port} ssh2\n")

    def scan(self, store: str) -> None:
        self.scanner.store_url = store
        self.scanner.scan(**self._variables)

    def counts(self) -> dict[str, tuple[str, int]]:
        """Return the status of the findings about this test, and how often each was seen."""
        found = (found for found in self.scanner.findings() if found.alert.startswith(("fim_", "ssh_brute_")))
        return {item.alert: (item.status, item.count) for item in found}

    def seal_note(self) -> str | None:
        (covered,) = (covered for covered in self._coverage() if covered.capability == "file_integrity")
        (note,) = (entry["note"] for entry in covered.entries if entry["scope"] == "baseline_seal")
        return t.cast("str | None", note)

    def never_checked(self) -> list[str]:
        return [covered.capability for covered in self._coverage() if covered.last_checked is None]

    def _coverage(self) -> list[Coverage]:
        with self.scanner.store() as store:
            return store.coverage()


def copy(*arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    """Run the playbook, and return what it printed and how it ended."""
    return controller("2.21").run_playbook(
        "bulwark.servers.store_copy",
        *arguments,
        inventory=THIS_MACHINE,
        extra_vars=variables,
        environment={"ANSIBLE_NOCOLOR": "1"},
        check=False,
    )


def test_a_scan_with_the_copy_goes_on(tmp_path: pathlib.Path, server: postgresql.Server) -> None:
    site = Site(tmp_path)
    laptop, team, back = f"sqlite:///{tmp_path}/findings.db", server.empty_database(), f"sqlite:///{tmp_path}/back.db"
    site.log("Failed password for root", 12)
    site.scan(laptop)
    assert site.counts() == {"ssh_brute_force_failed": ("new", 1)}
    assert "A baseline was taken" in (site.seal_note() or "")
    copied = copy(bulwark_store=laptop, bulwark_destination=team)
    assert copied.returncode == 0, copied.stdout + copied.stderr
    assert "WARNING" not in copied.stdout + copied.stderr
    site.file.write_text("as it should not be")
    site.log("Accepted password for root")
    site.scan(team)
    assert site.counts() == {
        "fim_file_modified": ("new", 1),
        "ssh_brute_force_failed": ("open", 1),
        "ssh_brute_force_succeeded": ("new", 1),
    }
    assert (site.seal_note(), site.never_checked()) == (None, [])
    copied = copy(bulwark_store=team, bulwark_destination=back)
    assert copied.returncode == 0, copied.stdout + copied.stderr
    assert copies.content(team) == copies.content(back)


def test_what_is_copied_and_what_is_wrong_is_said(tmp_path: pathlib.Path, server: postgresql.Server) -> None:
    store, destination = f"sqlite:///{tmp_path}/findings.db", server.empty_database()
    with_password = destination.replace("bulwark@", "bulwark:geheim@")
    copies.fill(store)
    variables = {"bulwark_store": store, "bulwark_destination": with_password}

    def said(*arguments: str, **changes: t.Any) -> str:
        ended = copy("-vvv", *arguments, **{**variables, **changes})
        assert (ended.returncode == 0) == ("This would be" in ended.stdout or "was read back" in ended.stdout)
        assert "geheim" not in ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    assert "no option 'bulwark_destinaton'; did you mean bulwark_destination?" in said(bulwark_destinaton="x")
    ends = f"from {tmp_path}/findings.db to postgresql://bulwark:***@/postgres"
    assert f"This would be copied {ends}." in said("--check")
    assert copies.is_empty(destination)
    text = said()
    assert re.search(r"bulwark_seals +1  [0-9a-f]{64}", text)
    assert "A run of 1970-01-01 00:02 UTC" in text
    assert "the destination postgresql://bulwark:***@/postgres is not empty (rows: bulwark_" in said()
