# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the audit daemon, as auditd.conf(5) describes them."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import daemon_settings


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("# log_file = /x\nlocal_events = yes\nlog_file = /srv/audit.log\n", "/srv/audit.log"),
        ("LOG_FILE=/srv/audit.log", "/srv/audit.log"),
        ("log_format = RAW\n", ""),
        ("log_file = relative\n", ""),
        ("log_file =\n", ""),
        ("log_file = /srv/old.log\nlog_file = /srv/audit.log\n", "/srv/audit.log"),
    ],
)
def test_the_log_that_the_daemon_writes(tmp_path: pathlib.Path, text: str, path: str) -> None:
    file = tmp_path / "auditd.conf"
    file.write_text(text)
    assert daemon_settings.log_file(str(file)) == path


def test_a_configuration_that_cannot_be_read_names_no_log(tmp_path: pathlib.Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc/hostname")
    assert [daemon_settings.log_file(str(path)) for path in (tmp_path, link, tmp_path / "none")] == ["", "", ""]


def test_the_name_of_the_host_is_as_the_daemon_writes_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "auditd.conf"
    monkeypatch.setattr(daemon_settings, "CONFIGURATION", str(file))
    usual = daemon_settings.own_names()
    assert os.uname().nodename.lower() in usual
    file.write_text("# a comment = x\nLog_File = /data/audit.log\nname_format = USER\nname = Web One\n")
    assert daemon_settings.own_names() == usual | {"web one"}
    assert daemon_settings.settings()["log_file"] == "/data/audit.log"
    file.write_text("name_format = hostname\nname = other\n")
    assert daemon_settings.own_names() == usual
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert daemon_settings.settings() == {}
