# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An investigation takes from the store what its finding shows, and which other hosts show the same."""

from __future__ import annotations

import contextlib
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

from tests.unit.plugins.plugin_utils.report import stored

DIGEST = "ab" * 32


@pytest.fixture
def url(tmp_path: pathlib.Path) -> str:
    """A store in which seven hosts show the same digest."""
    made = f"sqlite:///{tmp_path}/findings.db"
    evidence = {"file": {"name": "x", "type_id": 1, "hashes": [{"algorithm_id": 3, "value": DIGEST}]}}
    with contextlib.closing(Store.open(made)) as store:
        for number in range(1, 8):
            host = f"web0{number}"
            stored.record(store, host, [stored.event(host, "/tmp/x", evidences=[evidence])], now=10)
    return made


def _uid(url: str, host: str) -> str:
    with contextlib.closing(Store.open(url)) as store:
        (finding,) = store.query(Query(hosts=[host]))
    return finding.uid


def test_a_finding_brings_its_evidences_and_the_other_hosts(url: str) -> None:
    found = findings.load(_uid(url, "web03"), "web03", url)
    assert found.evidences[0]["file"]["hashes"][0]["value"] == DIGEST
    assert list(found.elsewhere) == [
        f"Findings on web01, web02, web04, web05 and 2 more hosts show the same digest {DIGEST}."
    ]


def test_a_finding_of_another_host_is_refused(url: str) -> None:
    with pytest.raises(ContentError, match="is about web03, not web04; investigate it on that host"):
        findings.load(_uid(url, "web03"), "web04", url)
    with pytest.raises(ContentError, match="the store has no finding 'F-1'"):
        findings.load("F-1", "web03", url)
