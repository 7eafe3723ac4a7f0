# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""findings_info finds others with the same on any host."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.action.findings_info import ActionModule
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

from tests.unit.plugins.plugin_utils.investigation import samples
from tests.unit.plugins.plugin_utils.store.samples import finding, record

DIGEST, OTHER = "ab" * 32, "cd" * 32


def seen(host: str, digest: str, **more: t.Any) -> dict[str, t.Any]:
    file = {"name": "x", "type_id": 1, "hashes": [{"algorithm_id": 3, "value": digest}], **more}
    return finding("/opt/x", host=host, evidences=[{"file": file}])


@pytest.fixture
def store(tmp_path: pathlib.Path) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/state/findings.db")) as opened:
        for host, digest in (("web03", DIGEST), ("web05", OTHER), ("web07", DIGEST)):
            record(opened, 100, [seen(host, digest, owner={"name": "root"})], host=host)
        yield opened


def ask(store: Store, **options: t.Any) -> dict[str, t.Any]:
    given = {name: option.get("default") for name, option in ActionModule.ARGUMENTS["argument_spec"].items()}
    return ActionModule.act(object.__new__(ActionModule), store, {**given, **options}, {})


def hosts(result: t.Mapping[str, t.Any]) -> list[str]:
    assert result["counts"]["total"] == len(result["findings"])
    return sorted(found["host"] for found in result["findings"])


def test_findings_with_a_value(store: Store) -> None:
    assert hosts(ask(store, observables=[DIGEST])) == ["web03", "web07"]
    assert hosts(ask(store, observables=[DIGEST.upper(), OTHER])) == ["web03", "web05", "web07"]
    assert hosts(ask(store, observables=[DIGEST], hosts=["web07"])) == ["web07"]
    assert hosts(ask(store, observables=["203.0.113.9"])) == []


def test_findings_that_show_what_one_shows(store: Store) -> None:
    uids = {found["host"]: found["uid"] for found in ask(store)["findings"]}
    assert hosts(ask(store, related_to=[uids["web03"]])) == ["web07"]
    assert hosts(ask(store, related_to=[uids["web05"]])) == []
    assert hosts(ask(store, related_to=[uids["web03"], uids["web07"]])) == []
    assert hosts(ask(store, related_to=[uids["web03"]], observables=[OTHER])) == []
    record(store, 200, [finding("/opt/x", host="web05", evidences=[])], host="web05")
    # One that shows nothing is related to none, not to all.
    assert hosts(ask(store, related_to=[uids["web05"]])) == []


def test_the_same_digest_on_web03_and_web07(store: Store) -> None:
    result = ask(store, gather=["shared_observables"], hosts=["web03"])
    (shared,) = result["shared_observables"]
    assert (shared["type"], shared["value"], shared["hosts"], shared["host_count"]) == ("Hash", DIGEST, ("web07",), 1)


def test_what_cannot_be_asked_is_refused(store: Store) -> None:
    with pytest.raises(AnsibleActionFail, match="'observables' has root, which nearly every host has"):
        ask(store, observables=[DIGEST, "root"])
    with pytest.raises(AnsibleActionFail, match="'observables' has 51 values; give at most 50"):
        ask(store, observables=[f"{number:064x}" for number in range(51)])
    with pytest.raises(AnsibleActionFail, match="'related_to' has 21 uids; give at most 20"):
        ask(store, related_to=["x"] * 21)
    with pytest.raises(StoreError, match="there is no finding 'x' in the store"):
        ask(store, related_to=["x"])


def test_investigations_of_a_finding(store: Store) -> None:
    uid = ask(store, hosts=["web03"])["findings"][0]["uid"]
    about: dict[str, t.Any] = {"host": "web03", "subject": "pid 7", "by": "alice", "summary": "s", "now": 200}
    store.record_investigation(**about, finding=uid, result={"nodes": []})
    store.record_investigation(**about, result={"nodes": [1]})
    (investigation,) = ask(store, gather=["investigations"], uids=[uid])["investigations"]
    assert (investigation["finding"], investigation["result"]) == (uid, {"nodes": []})
    assert len(ask(store, gather=["investigations"], hosts=["web03"])["investigations"]) == 2


def test_investigations_are_returned_as_they_are_and_as_events(store: Store) -> None:
    about: dict[str, t.Any] = {"host": "web03", "by": "alice", "summary": "x"}
    store.record_investigation(**about, subject="finding", result=samples.web_shell(), now=100)
    store.record_investigation(**about, subject="of another version", result={"nodes": 5}, now=90)
    result = ask(store, gather=["investigations", "investigation_queries"], hosts=["web03"])
    assert [each["subject"] for each in result["investigations"]] == ["finding", "of another version"]
    events = result["investigation_queries"]
    assert len(events) == 12
    assert {(event["device"]["name"], event["time"]) for event in events} == {("web03", 100_000)}
    assert ask(store, gather=["investigation_queries"], hosts=["web05"])["investigation_queries"] == []
