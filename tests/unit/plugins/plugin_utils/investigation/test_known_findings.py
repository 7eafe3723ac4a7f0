# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline has the findings of the host that show a file, a digest or an address that was named."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import known_findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

from tests.unit.plugins.plugin_utils.report import stored

DIGEST = "ab" * 32


def _file(path: str, digest: str = "cd" * 32) -> dict[str, t.Any]:
    hashes = [{"algorithm_id": 3, "value": digest}]
    return {"file": {"name": path.rpartition("/")[2], "path": path, "type_id": 1, "hashes": hashes}}


@pytest.fixture
def url(tmp_path: pathlib.Path) -> str:
    made = f"sqlite:///{tmp_path}/findings.db"
    shown = {
        "/dev/shm/x": [_file("/dev/shm/x")],
        "the same content": [_file("/srv/y", DIGEST)],
        "an address": [{"dst_endpoint": {"ip": "203.0.113.9"}}],
        "something else": [_file("/srv/z", "ef" * 32)],
    }
    with contextlib.closing(Store.open(made)) as store:
        for host in ("web1", "web2"):
            events = [stored.event(host, subject, evidences=each) for subject, each in shown.items()]
            stored.record(store, host, events, now=1_000)
    return made


def _node(identity: str, **facts: t.Any) -> dict[str, t.Any]:
    return {"id": identity, "kind": identity.partition(":")[0], "label": identity, "facts": facts}


def _investigation(*nodes: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"nodes": list(nodes), "events": [{"time": 5.0, "by": "audit", "text": "x", "nodes": []}]}


def test_findings_of_the_host_that_show_what_is_named_are_lines(url: str) -> None:
    nodes = (_node("file:/dev/shm/x"), _node("process:7@7", sha256=DIGEST), _node("address:203.0.113.9"))
    investigation = _investigation(*nodes)
    known_findings.add(investigation, "web1", url)

    audit, *lines = investigation["events"]
    assert audit["by"] == "audit"
    assert {line["by"] for line in lines} == {"findings"}
    about = {line["text"].rpartition(": ")[2]: line["nodes"] for line in lines}
    assert about == {
        "/dev/shm/x": ["file:/dev/shm/x"],
        "the same content": ["process:7@7"],
        "an address": ["address:203.0.113.9"],
    }
    assert investigation["events"] == sorted(investigation["events"], key=lambda event: event["time"])


def test_the_investigated_finding_is_a_line_as_well(url: str) -> None:
    with contextlib.closing(Store.open(url)) as store:
        (finding,) = store.query(Query(hosts=["web1"], subjects=["something else"]))
    investigation = _investigation(_node(f"finding:{finding.uid}"))
    known_findings.add(investigation, "web1", url)
    assert investigation["events"][-1]["nodes"] == [f"finding:{finding.uid}"]
    assert investigation["events"][-1]["text"].endswith("something else")


def test_without_a_store_or_anything_that_is_named_there_are_none(url: str, tmp_path: pathlib.Path) -> None:
    for nodes, where in ((_node("account:5"), url), (_node("file:/dev/shm/x"), f"sqlite:///{tmp_path}/none.db")):
        investigation = _investigation(nodes)
        known_findings.add(investigation, "web1", where)
        assert len(investigation["events"]) == 1
    assert not (tmp_path / "none.db").exists()
