# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pwd

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import person


@pytest.mark.parametrize("name", ["awx_user_name", "tower_user_name"])
def test_who_started_the_job_is_who_runs_it(name: str) -> None:
    assert person({name: "alice"}) == "alice"


def test_without_awx_it_is_the_account_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "bob")
    assert person({"awx_user_name": ""}) == pwd.getpwuid(os.getuid()).pw_name
