# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose variables cannot be templated runs no task, not even one that records why; the coverage says why."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support.controllers import Controller

_INVENTORY = """
all:
  hosts:
    gone: {ansible_host: 127.0.0.1, ansible_port: 1}
    unset: {ansible_connection: local, ansible_port: "{{ nowhere_set }}"}
    missing: {ansible_connection: local, ansible_become_password: "{{ lookup('file', '/proc/no/password') }}"}
"""


@pytest.mark.parametrize("version", ["2.18", "2.21"])
def test_what_really_happened_is_in_the_coverage(
    version: str, tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]
) -> None:
    (tmp_path / "hosts.yml").write_text(_INVENTORY)
    variables = {
        "bulwark_store": f"sqlite:///{tmp_path}/findings.db",
        "bulwark_report_path": str(tmp_path / "report.html"),
    }
    controller(version).run_playbook(
        "bulwark.servers.scan", inventory=tmp_path / "hosts.yml", extra_vars=variables, state=tmp_path, check=False
    )
    with contextlib.closing(Store.open(variables["bulwark_store"], mode="read")) as store:
        (run,) = store.runs()
        covered = {item.host: item for item in store.coverage()}
    assert run.finished is not None
    assert {item.status for item in covered.values()} == {"not_checked"}
    reasons = {host: item.entries[0]["reason"] for host, item in covered.items()}
    assert reasons["gone"].startswith("the host was unreachable: Failed to connect")
    assert reasons["unset"].startswith("no result arrived: ")
    assert "'nowhere_set' is undefined" in reasons["unset"]
    assert "/proc/no/password" in reasons["missing"]
    assert {item.last_checked for item in covered.values()} == {None}
