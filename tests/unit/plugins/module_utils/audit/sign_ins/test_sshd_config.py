# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An sshd that is told to log no sign-ins leaves a log that is alive and says nothing."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import coverage, sshd_config
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places, Sources
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import Reading


@pytest.mark.parametrize(
    ("text", "is_silent"),
    [
        ("LogLevel QUIET\n", True),
        ("loglevel=error # x\n", True),
        ('  LogLevel "FATAL"\r\n', True),
        ("Match User ops\n  LogLevel QUIET\n", True),
        ("LogLevel INFO\nMatch User ops\n  LogLevel QUIET\n", True),
        ("Match all\nLogLevel QUIET\n", True),
        ("Include {drop_in}\nLogLevel VERBOSE\n", True),
        ("LogLevel VERBOSE\nInclude {drop_in}\n", False),
        ("#LogLevel QUIET\nLogLevel INFO\nLogLevel QUIET\n", False),
        ("", False),
        ("Include {own}\n", False),
    ],
)
def test_a_level_at_which_sign_ins_are_not_logged(text: str, is_silent: bool, tmp_path: pathlib.Path) -> None:
    drop_in, own = tmp_path / "x.conf", tmp_path / "sshd_config"
    drop_in.write_text("LogLevel QUIET\n")
    own.write_text(text.format(drop_in=drop_in, own=own))
    silence = sshd_config.silence(str(own))
    assert (silence is not None) is is_silent
    log = tmp_path / "auth.log"
    log.write_text("")
    places = Places([str(log)], journal="never", send=lambda: None, events=list, sshd_config=str(own))
    sources = Sources(places, {}, Reading(lambda: False, 0.0, log.stat().st_mtime), None)
    scope = ScopeCoverage("sign_ins")
    coverage.describe(scope, sources)
    sources.close()
    reasons = [skipped["reason"] for skipped in scope.entry()["skipped"]]
    assert any("so that sshd logs no sign-ins" in reason for reason in reasons) is is_silent
