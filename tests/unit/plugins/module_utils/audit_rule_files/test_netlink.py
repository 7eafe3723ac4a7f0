# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said where the kernel does not let this account see its audit rules."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink


@pytest.mark.parametrize(("account", "advice"), [(1000, "become root"), (0, "protect and scan the container's host")])
def test_root_of_a_container_is_not_told_to_become_root(
    monkeypatch: pytest.MonkeyPatch, account: int, advice: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: account)
    assert netlink._refused(errno.EPERM).endswith(f"; {advice}.")
