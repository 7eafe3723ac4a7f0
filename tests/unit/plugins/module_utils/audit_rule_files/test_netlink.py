# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said where the kernel does not let this account see its audit rules."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink


@pytest.mark.parametrize(("account", "advice"), [(1000, "become root"), (0, "protect and scan the container's host")])
def test_root_of_a_container_is_not_told_to_become_root(
    monkeypatch: pytest.MonkeyPatch, account: int, advice: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: account)
    assert netlink._refused(errno.EPERM).endswith(f"; {advice}.")


@pytest.mark.parametrize(
    ("number", "account", "is_elsewhere"),
    [(errno.EPERM, 0, True), (errno.ECONNREFUSED, 0, True), (errno.EPERM, 1000, False), (errno.EIO, 0, False)],
)
def test_a_container_is_protected_and_scanned_through_its_host(
    monkeypatch: pytest.MonkeyPatch, number: int, account: int, is_elsewhere: bool
) -> None:
    @contextlib.contextmanager
    def refusing() -> t.Iterator[None]:
        raise HostError(netlink._refused(number))
        yield

    monkeypatch.setattr(os, "geteuid", lambda: account)
    monkeypatch.setattr(netlink, "connected", refusing)
    reason = netlink.elsewhere()
    assert reason is None if not is_elsewhere else str(reason).endswith("protect and scan the container's host")


def test_a_kernel_that_answers_can_be_audited_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink, "connected", contextlib.nullcontext)
    assert netlink.elsewhere() is None
