# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import getpass
import os

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.controller import person


@pytest.mark.parametrize("name", ["awx_user_name", "tower_user_name"])
def test_who_started_the_job_is_who_runs_it(name: str) -> None:
    assert person({name: "alice"}) == "alice"


def test_without_awx_it_is_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "bob")
    assert person({"awx_user_name": ""}) == "bob"


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 1000"), OSError("No username set")])
def test_a_number_without_an_account_is_named_as_such(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As in an execution environment, whose number no account has; Python 3.13 raises OSError, older ones KeyError."""

    def unknown() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert person({}) == f"uid {os.getuid()}"
