# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an investigation begins with: evidences of any form, and which process a pid means at which time."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import options, subject
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import Process, Program, Table
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.processes import Live
from hypothesis import given
from hypothesis import strategies as st

_BOOT, _HERTZ = 1_000.0, 100


def _live(pid: int, start: float) -> Live:
    return Live(
        pid=pid,
        started=round((start - _BOOT) * _HERTZ),
        start=start,
        parent=1,
        sid=pid,
        user=0,
        login=None,
        session=None,
        name=b"x",
        state="S",
        exe=b"/opt/x",
        deleted=False,
        arguments=b"x",
        group="/",
        container=None,
        capabilities=0,
        network=1,
        kernel=False,
    )


def _by_pid() -> dict[int, list[Process]]:
    """Return three processes that had the pid 50: at 2,000, at 3,000, and one that runs since 4,000."""
    table = Table({50: _live(50, 4_000.0)}, _BOOT)
    for time, session in ((2_000.0, 5), (2_010.0, 5), (3_000.0, 6)):
        process = table.seen(time, 50, 9, session, 1000, 1000)
        process.add(Program(time, b"/opt/x", b"", b""))
    table.finish()
    return table.by_pid()


def _resolve(evidences: t.Any = (), **given: t.Any) -> subject.Subject:
    params = {name: fields.get("default") for name, fields in options.collect_spec().items()}
    begin = given or {"finding": "F"}
    parsed = options.parse({**params, **begin, "_evidences": list(evidences)})
    return subject.resolve(parsed, _by_pid(), _BOOT, _HERTZ)


def _evidence(pid: int, start: float | None = None) -> dict[str, t.Any]:
    created = {} if start is None else {"created_time": round(start * 1000)}
    return {"process": {"pid": pid, "name": "x", **created}}


@pytest.mark.parametrize(
    ("time", "first"),
    [("", 4_000.0), ("2005", 2_000.0), ("3999.5", 4_000.0), ("3500", 3_000.0), ("9999", 4_000.0)],
)
def test_a_pid_means_the_process_that_had_it_at_the_time(time: str, first: float) -> None:
    (seed,) = _resolve(pid=50, time=time).seeds
    assert seed == f"process:50@{round((first - _BOOT) * _HERTZ)}"


@pytest.mark.parametrize(("start", "first"), [(4_000.5, 4_000.0), (2_001.0, 2_000.0), (2_990.0, 3_000.0)])
def test_an_evidence_means_the_process_that_was_started_then(start: float, first: float) -> None:
    (seed,) = _resolve([_evidence(50, start)]).seeds
    assert seed == f"process:50@{round((first - _BOOT) * _HERTZ)}"


@pytest.mark.parametrize("start", [3_500.0, 9_000.0])
def test_a_process_that_ended_unseen_is_not_the_one_that_has_its_pid(start: float) -> None:
    found = _resolve([_evidence(50, start)])
    (seed,) = found.seeds
    (node,) = [node for node in found.facts.nodes if node.id == seed]
    assert (seed, node.gone) == (f"process:50@{round((start - _BOOT) * _HERTZ)}", True)
    assert found.problems[0][1].startswith("it does not run, and no log on the host has it")


def test_a_process_with_another_program_is_not_meant_and_its_session_is() -> None:
    evidence = {"process": {"pid": 50, "file": {"path": "/opt/other"}, "session": {"uid": "77"}}}
    found = _resolve([evidence], finding="F", time="5000")
    assert list(found.seeds) == ["process:50@400000", "session:77", "file:/opt/other"]
    assert [node.gone for node in found.facts.nodes if node.id == "process:50@400000"] == [True]


def test_a_finding_gives_processes_files_addresses_and_containers() -> None:
    evidences = [
        _evidence(50),
        {"file": {"path": "/dev/shm/x"}},
        {"job": {"file": {"path": "/etc/cron.d/x"}}},
        {"dst_endpoint": {"ip": "203.0.113.9"}, "src_endpoint": {"ip": "127.0.0.1"}},
        {"container": {"uid": "abc"}, "user": {"uid": "0"}},
        {"actor": {"process": {"parent_process": {"pid": 50}}}},
    ]
    assert list(_resolve(evidences).seeds) == [
        *("process:50@300000", "file:/dev/shm/x", "file:/etc/cron.d/x", "address:203.0.113.9", "container:abc")
    ]


def test_an_account_counts_only_if_there_is_nothing_else() -> None:
    assert list(_resolve([{"user": {"uid": "1000", "name": "alice"}}]).seeds) == ["account:1000"]


def test_a_finding_that_names_nothing_says_so() -> None:
    found = _resolve([{"data": {"x": 1}}])
    assert (list(found.seeds), found.problems[0][0]) == ([], "finding")


def test_a_finding_about_many_things_is_cut_and_says_so() -> None:
    found = _resolve([{"file": {"path": f"/opt/{number}"}} for number in range(200)])
    assert len(found.seeds) == subject.MOST_SEEDS
    assert found.problems == [("finding", "only the first 50 things that it names were followed")]


def test_the_finding_is_a_node_about_its_seeds() -> None:
    found = _resolve([_evidence(50)])
    (link,) = found.facts.links
    assert (link.source, link.relation, link.target) == ("finding:F", "about", "process:50@300000")


def test_an_account_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="user: there is no account 'nobody-at-all' on this host; give its number"):
        _resolve(user="nobody-at-all")
    assert list(_resolve(user="4711").seeds) == ["account:4711"]


def test_an_address_has_one_form() -> None:
    assert list(_resolve(address="2001:DB8::0:1").seeds) == ["address:2001:db8::1"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["process", "file", "path", "pid", "created_time", "actor", "parent_process", "ip", "uid"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_HOLDERS = st.sampled_from(["process", "file", "actor", "dst_endpoint", "job", "user", "container", "script"])


@pytest.mark.parametrize("created", [float("inf"), float("nan"), -1, 0, 1e300, True, "5", None])
def test_a_time_that_is_none_is_no_time(created: t.Any) -> None:
    (seed,) = _resolve([{"process": {"pid": 50, "created_time": created}}]).seeds
    assert seed == "process:50@300000"


@given(st.lists(st.dictionaries(_HOLDERS, _JSON, max_size=4), max_size=4))
def test_evidences_of_any_form_are_read_or_left(evidences: list[dict[str, t.Any]]) -> None:
    found = _resolve(evidences)
    assert all(seed.partition(":")[1] for seed in found.seeds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-30T02:49:00Z", 1_796_006_940.0),
        ("2026-11-30 02:49", 1_796_006_940.0),
        ("2026-11-30", 1_795_996_800.0),
        ("2026-11-30T02:49:00.5Z", 1_796_006_940.5),
        ("1796006940.25", 1_796_006_940.25),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read_as_utc(text: str | None, seconds: float | None) -> None:
    assert options.parse_time(text) == seconds
