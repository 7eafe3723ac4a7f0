# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real audit daemon's log is checked while the daemon writes it, and partly checked when it does not any more."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import alive
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.support import audit, waiting

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]


class Scans:
    """Looks at one log, each from where the one before stopped."""

    def __init__(self, log: pathlib.Path, state: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log, self._state = log, state
        self._monkeypatch = monkeypatch
        self._token: str | None = None
        self._content = detections.load().payload

    def look(self, seconds: float = waiting.SECONDS) -> dict[str, t.Any]:
        """Return the result of the module. seconds: for which it waits at most for its record to come to the log."""
        self._monkeypatch.setattr(alive, "SECONDS", seconds)
        options = {name: option.get("default") for name, option in collect_spec().items()}
        given = {"paths": [str(self._log)], "state_dir": str(self._state), "priority": "normal"}
        shared = {"_content": self._content, "_token": self._token, "_advance": True}
        result = collect.collect({**options, **given, **shared}, False)
        self._token = result["checkpoint"]["token"]
        return result

    def assert_checked(self) -> None:
        """Look; the log has to be known to be written now."""
        result = self.look()
        (entry,) = result["coverage"]
        assert (entry["status"], result["audit_events"]["log_active"]) == ("checked", True), entry

    def reason(self) -> str:
        """Look; return why the log is not known to be written now."""
        result = self.look(0.5)
        (entry,) = result["coverage"]
        assert (entry["status"], result["audit_events"]["log_active"]) == ("partial", False), entry
        return next(
            str(each["reason"])
            for each in entry["skipped"]
            if "not arrive in it" in each["reason"] or "receives no records" in each["reason"]
        )


def test_a_log_is_checked_as_long_as_the_daemon_writes_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
    with audit.locked() as kernel:
        with audit.daemon(first, kernel) as daemon:
            scans = Scans(daemon.log, tmp_path / "state", monkeypatch)
            result = scans.look()
            assert result["coverage"][0]["status"] == "checked", result["coverage"]
            assert result["audit_events"]["log_active"] is True
            # What proves it raises no alert, and needs no audit rules. A quiet host is checked.
            assert (result["detections"], kernel.rules()) == ([], [])
            scans.assert_checked()
            daemon.rotate()
            scans.assert_checked()

            os.kill(daemon.pid, signal.SIGSTOP)
            try:
                stopped = scans.reason()
            finally:
                os.kill(daemon.pid, signal.SIGCONT)
            assert f"the audit daemon (process {daemon.pid}) is stopped;" in stopped
            daemon.settle()
            scans.assert_checked()

            kernel.control("-e", "0")
            try:
                assert "the kernel's auditing is switched off" in scans.reason()
            finally:
                kernel.control("-e", "1")

            # An old copy in the place of the log: the daemon goes on with a file that has no name any more.
            shutil.copy(daemon.log, tmp_path / "copy")
            os.replace(tmp_path / "copy", daemon.log)
            assert f"the audit daemon (process {daemon.pid}) writes to {daemon.log} (deleted)" in scans.reason()
        assert "no audit daemon receives the kernel's records; start auditd" in scans.reason()
        # As with another log_file. Each line begins with the name of the host.
        with audit.daemon(second, kernel, name_format="HOSTNAME") as elsewhere:
            reason = scans.reason()
            assert f"the audit daemon (process {elsewhere.pid}) writes to {elsewhere.log}" in reason
            assert "its last event is of 2" in reason
            named = Scans(elsewhere.log, tmp_path / "named", monkeypatch)
            named.assert_checked()
            assert elsewhere.log.read_text().startswith(f"node={os.uname().nodename} type=")
            assert named.look()["audit_events"]["unknown_events"] == 0
            # A log that was never this host's is only said to be none.
            copy = shutil.copytree(second / "log", tmp_path / "evidence") / "audit.log"
            (entry,) = Scans(copy, tmp_path / "other", monkeypatch).look()["coverage"]
            assert entry["status"] == "checked"
            assert entry["note"].startswith("This is not the log that this host's audit daemon writes; its last event")


def test_a_log_that_is_left_only_under_the_name_of_a_rotated_one_is_still_this_hosts(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with audit.locked() as kernel:
        with audit.daemon(tmp_path, kernel) as daemon:
            scans = Scans(daemon.log, tmp_path / "state", monkeypatch)
            scans.assert_checked()
            renamed = daemon.log.rename(daemon.log.with_name("audit.log.1"))
            assert f"the audit daemon (process {daemon.pid}) writes to {renamed}" in scans.reason()
        assert "no audit daemon receives the kernel's records; start auditd" in scans.reason()
