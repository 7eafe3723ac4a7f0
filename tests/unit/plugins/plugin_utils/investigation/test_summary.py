# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A summary says in plain words what happened, in 20 lines at most."""

from __future__ import annotations

import itertools
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.collect import as_data
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import (
    Event,
    Investigation,
    Link,
    Node,
    Reason,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import received, summary

from tests.unit.plugins.plugin_utils.investigation import samples
from tests.unit.plugins.plugin_utils.report.samples import ATTACKS


def _of(nodes: t.Sequence[Node], links: t.Sequence[Link] = ()) -> list[str]:
    reasons = [Reason(node.id, number, None, None, "x") for number, node in enumerate(nodes)]
    made = received.check(as_data(Investigation("process 1", nodes, links, reasons, [], [])))
    return summary.lines(made)[1:]


def _process(pid: int, name: str, **facts: t.Any) -> Node:
    return samples.process(f"process:{pid}@{pid}", name, name, f"/usr/bin/{name}", float(pid), **facts)


def test_a_web_shell_is_described_from_the_request_to_the_cron_job() -> None:
    unread = [{"scope": "audit_records", "status": "partial", "reason": "Only the newest 64 MB were read."}]
    assert summary.lines(samples.web_shell(), unread) == [
        (
            "The investigation names 5 processes, 2 files, 2 addresses, 1 listener, "
            "1 account, 1 startup item and 1 package, from 2026-11-29 02:50 to 2026-11-30 02:50 UTC."
        ),
        "198.51.100.7 requested /var/www/html/up.php from the web server at 2026-11-30 02:50 UTC.",
        (
            "nginx master (810) listens on tcp/192.0.2.1:80 and started nginx worker (812), which started sh (4711), "
            "which started curl (4712) and x (4713)."
        ),
        "curl (4712) downloaded /dev/shm/x from 203.0.113.9:443.",
        "x (4713) runs the unpackaged program /dev/shm/x and talks to 203.0.113.9:443.",
        "/etc/cron.d/apt-cache (crontab) starts /dev/shm/x. It was changed at 2026-11-30 02:50 UTC.",
        "/dev/shm/x: Its content is dated before the file was made.",
        "Near in time was changed: /var/www/html/up.php.",
        "Not read, or not in full: audit records. Only the newest 64 MB were read.",
        "271 more files were changed near in time.",
    ]


def test_other_hosts_are_named() -> None:
    sentence = "Findings on web03 and web07 show the same digest abab."
    assert sentence in summary.lines(samples.web_shell(), (), [sentence])


def test_times_that_anybody_can_set_do_not_widen_the_time_of_an_attack() -> None:
    node = Node("startup:/etc/sudoers.d/x", "/etc/sudoers.d/x", {"startup": "sudo rule"}, 0.0, samples.BEGIN)
    texts = {"was written": 0.0, "was made": samples.BEGIN, "was changed (renamed)": samples.BEGIN + 60}
    events = [Event(at, "file system", f"/etc/sudoers.d/x {text}", (node.id,)) for text, at in texts.items()]
    made = received.check(as_data(Investigation("/x", [node], [], [Reason(node.id, 0, None, None, "x")], events, [])))
    assert summary.lines(made)[0] == (
        "The investigation of /x names 1 startup item, from 2026-11-30 02:50 to 2026-11-30 02:51 UTC."
    )


def test_a_beginning_that_the_host_does_not_have_is_named() -> None:
    made = received.check(as_data(Investigation("process 7", [_process(7, "x")], [], [], [], [])))
    skipped = [{"subject": "process 7", "reason": "it does not run, and no log on the host has it"}] * 9
    lines = summary.lines(made, [{"scope": "subject", "status": "partial", "skipped": skipped}])
    assert lines[1:] == ["Process 7: it does not run, and no log on the host has it."] * 3
    assert summary.lines(made, [{"scope": "subject", "status": "partial", "skipped": [7, None]}])[1:]


def test_a_chain_without_branches_is_one_sentence() -> None:
    worker = _process(1, "nginx")._replace(facts={"pid": 1, "command_line": "nginx: worker process"})
    nodes = [
        worker,
        _process(2, "sh"),
        Node("file:/dev/shm/x", "/dev/shm/x"),
        Node("address:2001:db8::9", "2001:db8::9", {"ports": [443]}),
    ]
    links = [
        Link(nodes[0].id, nodes[1].id, "started", "audit"),
        Link(nodes[1].id, nodes[2].id, "wrote", "audit"),
        Link(nodes[1].id, nodes[3].id, "connected", "audit"),
    ]
    assert _of(nodes, links) == [
        "nginx worker (1) started sh (2), which wrote /dev/shm/x and talks to [2001:db8::9]:443.",
    ]


def test_a_sign_in_names_account_source_key_and_what_it_started() -> None:
    session = Node("session:7", "session 7", {"user": "eve", "key": "SHA256:abc"}, samples.BEGIN)
    keys = Node("startup:/home/eve/.ssh/authorized_keys", "/home/eve/.ssh/authorized_keys", {"startup": "SSH key file"})
    nodes = [session, Node("address:198.51.100.7", "198.51.100.7"), _process(5, "bash"), _process(6, "id"), keys]
    links = [
        Link("address:198.51.100.7", "session:7", "signed_in", "auth"),
        Link(nodes[2].id, "session:7", "belongs_to", "audit"),
        Link(nodes[3].id, "session:7", "belongs_to", "audit"),
        Link(nodes[2].id, nodes[3].id, "started", "audit"),
        Link("session:7", keys.id, "mentions", "key SHA256:abc"),
    ]
    assert _of(nodes, links) == [
        "eve signed in from 198.51.100.7 with the key SHA256:abc at 2026-11-30 02:50 UTC and started bash (5).",
        "bash (5) started id (6).",
        "/home/eve/.ssh/authorized_keys (SSH key file) let session 7 in.",
    ]


def test_an_output_that_all_inherit_is_no_act_of_theirs() -> None:
    nodes = [_process(1, "sh"), _process(2, "a"), Node("file:/tmp/log", "/tmp/log")]
    links = [Link(nodes[0].id, nodes[1].id, "started", "proc")]
    links += [Link(node.id, "file:/tmp/log", "wrote", "proc") for node in nodes[:2]]
    assert _of(nodes, links) == ["sh (1) wrote /tmp/log and started a (2)."]


def test_init_is_no_starter_of_everything() -> None:
    nodes = [
        _process(9, "x", verified="unpackaged"),
        _process(1, "systemd", starts_jobs=True),
        Node("file:/opt/x", "/opt/x"),
    ]
    links = [Link(nodes[1].id, nodes[0].id, "started", "proc"), Link(nodes[0].id, "file:/opt/x", "executes", "proc")]
    assert _of(nodes, links) == ["x (9) runs the unpackaged program /opt/x."]


def test_an_empty_result_has_one_sentence() -> None:
    made = received.check(as_data(Investigation("process 7", [], [], [], [], [])))
    assert summary.lines(made) == ["Nothing on the host is known to belong to process 7."]


def test_there_are_at_most_20_lines_and_no_part_takes_all() -> None:
    chain = samples.large()
    lines = summary.lines({**chain, "nodes": [*chain["nodes"], *samples.web_shell()["nodes"]]})
    assert len(lines) == summary.MOST_LINES
    assert "more sentences would follow; the report shows everything." in lines[-1]
    assert any("/etc/cron.d/apt-cache" in line for line in lines)


def test_processes_that_started_each_other_and_long_chains_are_no_trap() -> None:
    nodes = [_process(pid, "x") for pid in range(1, 4_000)]
    links = [Link(first.id, second.id, "started", "audit") for first, second in itertools.pairwise(nodes)]
    begun = time.process_time()
    assert len(_of(nodes, links)) < summary.MOST_LINES
    assert _of(nodes[:2], [*links[:1], Link(nodes[1].id, nodes[0].id, "started", "audit")]) == []
    assert time.process_time() - begun < 5


def test_links_of_everything_with_everything_are_no_trap() -> None:
    nodes = [_process(pid, "x") for pid in range(1, 400)]
    nodes += [Node(f"{kind}:{number}", "x") for number in range(100) for kind in ("file", "session", "startup")]
    ids = [node.id for node in nodes]
    links = [
        Link(source, target, relation, "x")
        for source in ids[:250]
        for target in ids[300:]
        for relation in ("wrote", "started")
    ]
    links += [Link(source, target, "mentions", "x") for source in ids[-100:] for target in ids]
    links += [Link(source, "session:1", "belongs_to", "x") for source in ids[:399]]
    begun = time.process_time()
    assert len(_of(nodes, links[:200_000])) < summary.MOST_LINES
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("attack", [*ATTACKS, "x" * 4_000])
def test_hostile_text_hides_nothing_and_fills_nothing(attack: str) -> None:
    lines = summary.lines(samples.hostile(attack))
    assert len(lines) <= summary.MOST_LINES
    assert all(line.isprintable() and len(line) <= 500 for line in lines)
