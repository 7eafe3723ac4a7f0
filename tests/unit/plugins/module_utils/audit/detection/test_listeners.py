# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs are below one that listens, and below which: by what the kernel attests, in either way of looking."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import processes as table
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, Processes
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import Running, running
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

from tests.support.recorded import Recorder

UNSET = b"4294967295"


def about(*fields: str) -> dict[str, t.Any]:
    """Return a rule for all shells, that says these fields of them; who it was where there is none."""
    rule = {"id": "1", "alert": "x", "title": "x", "source": "process_creation", "subject": list(fields)}
    condition = ["text", "Image", "endswith", ["/sh"]]
    return {"version": 1, "correlations": [], "rules": [{**rule, "condition": condition}]}


RULES = about("ParentImage", "Listener", "ParentListens", "Service")
LIKELY = about("LikelyAncestorImages")
NOTHING = "root /usr/bin/sh"


def quickly(
    log: Recorder, running_now: t.Sequence[Running] = (), state: t.Any = None, rules: t.Any = None
) -> list[str]:
    """Return what the reader says of each shell, its fields in a line."""
    reader = Reader(rules or RULES, state or {}, running=running_now)
    looked = list(reader._look_at(reader.hosts.own.joiner.found(log.text())))
    return [hit.subject for _event, one in looked for hit in one.hits]


def slowly(log: Recorder, rules: t.Any) -> list[str]:
    verdicts = Verdicts(RuleSet(rules), rules, Processes())
    return [hit.subject for event in Joiner().events(log.text()) for one in verdicts.look(event) for hit in one.hits]


def said(log: Recorder, rules: t.Any = None) -> list[str]:
    """Return what both ways say, which is the same."""
    rules = rules or RULES
    quick = quickly(log, rules=rules)
    assert quick == slowly(log, rules)
    return quick


def shell(log: Recorder, parent: int, pid: int | None = None) -> int:
    return log.execute("/usr/bin/sh", ["sh", "-c", f"run {parent}"], parent, pid=pid)


def test_a_program_that_binds_to_a_port_listens() -> None:
    log = Recorder(user="root")
    server = log.execute("/opt/api/server", ["server"], log.init)
    shell(log, server)
    log.bind(server, 8080)
    shell(log, server)
    assert said(log) == ["/opt/api/server", "/opt/api/server /opt/api/server yes /opt/api/server"]


def test_who_lets_the_kernel_choose_a_port_connects() -> None:
    log = Recorder(user="root")
    client = log.execute("/usr/bin/client", ["client"], log.init)
    log.bind(client, 0)
    shell(log, client)
    assert said(log) == ["/usr/bin/client"]


def test_what_a_listener_forked_listens_too() -> None:
    log = Recorder(user="root")
    server = log.execute("/usr/bin/gunicorn", ["gunicorn"], log.init)
    log.bind(server, 8000)
    worker = log.fork(server)
    log.opens(worker)
    shell(log, worker)
    assert said(log) == ["/usr/bin/gunicorn /usr/bin/gunicorn yes /usr/bin/gunicorn"]


def test_a_program_further_below_is_below_it_and_its_parent_is_not_it() -> None:
    log = Recorder(user="root")
    server = log.execute("/usr/bin/node", ["node"], log.init)
    worker = log.execute("/usr/bin/python3", ["python3"], server)
    # The server may come to listen after it started its workers.
    log.bind(server, 8000)
    shell(log, worker)
    assert said(log) == ["/usr/bin/python3 /usr/bin/node no /usr/bin/node"]


def test_a_listener_that_executes_a_shell_itself_has_started_it() -> None:
    log = Recorder(user="root")
    server = log.execute("/usr/sbin/nginx", ["nginx"], log.init)
    log.bind(server, 80)
    shell(log, log.init, pid=server)
    assert said(log) == ["/usr/sbin/nginx /usr/sbin/nginx yes /usr/sbin/nginx"]


def test_who_signs_in_has_a_session_that_nothing_listens_above() -> None:
    log = Recorder(user="root")
    server = log.execute("/usr/sbin/sshd", ["sshd"], log.init)
    log.bind(server, 22)
    login = log.execute("/usr/lib/openssh/sshd-session", ["sshd-session"], server)
    log.sign_in(1000, 7, "pts0")
    typed = shell(log, login)
    own = log.execute("/usr/bin/node", ["node"], typed)
    log.bind(own, 3000)
    shell(log, own)
    assert said(log) == ["/usr/lib/openssh/sshd-session", "/usr/bin/node /usr/bin/node yes /usr/bin/node"]


def test_the_account_of_a_service_is_one_that_nobody_signed_in_to() -> None:
    subjects = []
    for user, tty in (("app", "(none)"), ("root", "(none)"), ("app", "pts1")):
        log = Recorder(user=user, tty=tty)
        shell(log, log.execute("/usr/bin/gunicorn", ["gunicorn"], log.init))
        subjects += said(log)
    assert subjects == ["/usr/bin/gunicorn account app", "/usr/bin/gunicorn", "/usr/bin/gunicorn"]


def test_of_a_fork_that_is_in_no_record_only_the_session_is_known() -> None:
    log = Recorder(user="root", tty="pts0")
    log.sign_in(0, 3, "pts0")
    start = log.execute("/usr/bin/bash", ["bash"], log.init)
    audit = log.execute("/usr/bin/dash", ["/bin/sh", "/usr/sbin/lynis"], start, script="/usr/sbin/lynis")
    log.execute("/usr/bin/uname", ["uname"], audit)
    shell(log, log.fork(audit))
    log.sign_in(0, 4, "pts1")
    shell(log, log.fork(audit))
    likely, other = said(log, LIKELY)
    assert "/usr/sbin/lynis" in likely
    assert other == NOTHING


def test_the_first_process_starts_everything_and_is_no_server() -> None:
    log = Recorder(user="root")
    log.execute("/usr/lib/systemd/systemd", ["init"], 0, pid=1)
    log.bind(1, 8080)
    shell(log, 1)
    assert said(log) == ["/usr/lib/systemd/systemd"]


def test_a_process_id_that_is_used_again_does_not_listen() -> None:
    log = Recorder(user="root")
    server = log.execute("/opt/api/server", ["server"], log.init)
    log.bind(server, 8080)
    # It ended, and another has its number; that is known by its parent only where that executed it.
    other = log.execute("/usr/bin/make", ["make"], log.init, pid=server)
    shell(log, log.execute("/usr/bin/cc", ["cc"], other, pid=other))
    assert said(log)[0].split(" ")[0] in ("/usr/bin/cc", "/usr/bin/make")


def test_what_listens_is_known_in_the_next_look_however_long_ago_it_was_started() -> None:
    first = Recorder(user="root")
    server = first.execute("/opt/api/server", ["server"], first.init)
    first.bind(server, 8080)
    for _again in range(table._MOST_KEPT + 50):
        first.execute("/usr/bin/true", ["true"], first.init)
    reader = Reader(RULES, {})
    reader.read(first.text())
    reader.finish(4e9)
    state = json.loads(json.dumps(reader.state()))
    assert len(state["processes"]) <= table._MOST_KEPT + table._MOST_LISTENING
    second = Recorder(user="root")
    shell(second, server)
    assert quickly(second, state=state) == ["/opt/api/server /opt/api/server yes /opt/api/server"]


def test_what_listens_is_forgotten_after_all_others_and_is_bounded() -> None:
    known = Processes()
    known.executed(b"77", None, b'"/opt/api/server"', b"", b"", UNSET)
    known.listens(b"77")
    for pid in range(1_000, 1_000 + 3 * table._MOST):
        known.executed(b"%d" % pid, None, b'"/usr/bin/true"', b"", b"", UNSET)
    server = known.get(b"77")
    assert server is not None
    assert server.listens
    for pid in range(200_000, 200_000 + 2 * table._MOST_LISTENING):
        known.executed(b"%d" % pid, None, b'"/usr/bin/nc"', b"", b"", UNSET)
        known.listens(b"%d" % pid)
    assert len(known._listening) == table._MOST_LISTENING


def test_a_process_is_the_same_in_another_process() -> None:
    parent = Process(b"5", b'"/x"', b"", b"", None, 0, b"3", True)
    unknown = Process(b"7", b"", b"", b"", None, 0, b"3")
    unknown.likely = parent
    again = pickle.loads(pickle.dumps(unknown))  # noqa: S301
    assert again.likely.listens
    assert (again.pid, again.session, again.likely.exe) == (b"7", b"3", b'"/x"')


def test_state_of_an_earlier_version_is_read() -> None:
    known = Processes([["5", '"/usr/bin/sh"', "", "", "4", '"/usr/bin/make"', "", ""]])
    child = known.get(b"5")
    assert child is not None
    assert child.parent is not None
    assert (child.exe, child.parent.exe, child.listens) == (b'"/usr/bin/sh"', b'"/usr/bin/make"', False)


def daemon(pid: int, started: float, exe: bytes = b'"/usr/sbin/daemon"') -> Running:
    return Running(started, Process(b"%d" % pid, exe, b"", b"", None, 0, UNSET, True))


def test_what_runs_and_listened_before_the_log_began_is_known() -> None:
    log = Recorder(user="root")
    shell(log, 900)
    shell(log, 901)
    found = quickly(log, [daemon(900, log.began - 60), daemon(901, log.began + 60)])
    # What was started since has its number from another one, as far as a first look can know.
    assert found == ["/usr/sbin/daemon /usr/sbin/daemon yes /usr/sbin/daemon", NOTHING]


def test_what_systemd_binds_for_a_program_is_known_by_its_number_and_program() -> None:
    log = Recorder(user="root")
    server = log.execute("/usr/bin/web", ["web"], log.init)
    shell(log, server)
    now = [daemon(server, log.began - 9, b'"/usr/bin/web"')]
    assert quickly(log, now) == ["/usr/bin/web /usr/bin/web yes /usr/bin/web"]


def test_what_runs_is_read_from_proc() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.set_inheritable(True)
        code = "import sys; sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, close_fds=False) as child:
            found = {one.process.pid: one.process for one in running()}
            child.communicate(b"")
    own = found[b"%d" % os.getpid()]
    worker = found[b"%d" % child.pid]
    assert own.listens
    assert worker.listens
    assert worker.parent is own
    assert own.exe == b'"%s"' % os.path.realpath(sys.executable).encode()
    assert code.encode().hex().upper().encode() in worker.arguments
    assert running("/nowhere") == []


def nested(log: Recorder, levels: int) -> int:
    """Start a server that starts itself so many times below each other; return the last."""
    process = log.execute("/opt/api/server", ["server"], log.init)
    log.bind(process, 8080)
    for level in range(levels):
        process = log.execute("/opt/api/worker", ["worker", str(level)], process)
    return process


def test_no_depth_hides_a_listener() -> None:
    log = Recorder(user="root")
    shell(log, nested(log, 40))
    assert said(log) == ["/opt/api/worker /opt/api/server no /opt/api/server"]


def test_no_depth_hides_a_listener_from_the_next_run() -> None:
    log = Recorder(user="root")
    reader = Reader(RULES, {})
    last = nested(log, 12)
    reader.read(log.text())
    state = json.loads(json.dumps(reader.state()))
    later = Recorder(user="root")
    for _again in range(20):
        later.fork(later.init)
    shell(later, last)
    assert quickly(later, state=state) == ["/opt/api/worker /opt/api/server no /opt/api/server"]
