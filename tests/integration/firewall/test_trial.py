# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on trial in the real kernel, with real connections between two hosts."""

from __future__ import annotations

import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import trial
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import OwnTable

from tests.support import network, paths, waiting

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip"),
    pytest.mark.xdist_group("firewall_trial"),
]

TABLE = "bulwark_test"
LOCKED = trial.Rules(
    {"input": ["meta l4proto { tcp, udp } th dport 22 counter drop"]},
    {"grants4": "type ipv4_addr . inet_proto . inet_service; flags interval,timeout;"},
)
OTHER = trial.Rules({"input": ["tcp dport { 22, 8000-8100 } drop"]}, LOCKED.sets)


class Site:
    """A host whose rules are tried, and a visitor; both have IPv4 and IPv6."""

    def __init__(self, host: network.Namespace, visitor: network.Namespace) -> None:
        self.host = host
        self.visitor = visitor
        self.table = OwnTable(Nft(), TABLE)

    def open(self, port: int = 22) -> set[int]:
        """Return with which versions of IP the port can be reached."""
        return {version for version in (4, 6) if self.visitor.connects(self.host, port, version)}

    def ruleset(self) -> str:
        return self.host.run("nft", "list", "ruleset")


@pytest.fixture
def site() -> t.Iterator[Site]:
    with network.hosts("host", "visitor") as (host, visitor):
        listeners = [host.listen(port, version) for port in (22, 8080) for version in (4, 6)]
        with host.entered():
            yield Site(host, visitor)
        for listener in listeners:
            listener.close()


def _until(condition: t.Callable[[], bool], seconds: float = waiting.SECONDS, pause: float = 0.01) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not come about"
        time.sleep(pause)
    return time.monotonic()


def test_a_trial_that_nobody_confirms_ends_by_itself(site: Site) -> None:
    assert site.open() == {4, 6}
    start = time.monotonic()
    site.table.propose(LOCKED, 3)
    assert site.open() == set()
    assert site.open(8080) == {4, 6}
    looked = site.table.look()
    assert looked is not None
    assert (looked.confirmed, looked.proposed) == (None, LOCKED.digest)
    assert 0 < looked.left <= 3

    ended = _until(lambda: site.visitor.connects(site.host, 22), 10) - start
    assert 2.9 <= ended <= 5.0, "the SYN that is tried again takes up to half a second"
    assert site.open() == {4, 6}
    assert site.table.look() == trial.InForce(None)


def test_the_rules_before_are_in_force_when_the_process_that_tried_others_was_killed(site: Site) -> None:
    site.table.confirm(LOCKED, site.table.propose(LOCKED, 30))
    assert site.open() == set()
    # It opens everything, and would have closed it again.
    program = (
        f"import sys, time; sys.path.insert(0, {str(paths.COLLECTIONS)!r})\n"
        "from ansible_collections.bulwark.servers.plugins.module_utils.firewall import nft, own, trial\n"
        f"own.OwnTable(nft.Nft(), {TABLE!r}).propose(trial.Rules({{'input': ['accept']}}), 3)\n"
        "print('proposed', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "proposed\n"
        process.send_signal(signal.SIGKILL)
    assert site.open() == {4, 6}
    _until(lambda: site.open() == set())
    assert site.table.look() == trial.InForce(LOCKED.digest)
    assert site.table.compare(LOCKED).problem is None


def test_a_confirmed_trial_stays(site: Site) -> None:
    site.table.confirm(LOCKED, site.table.propose(LOCKED, 3))
    time.sleep(3.2)
    assert site.open() == set()
    assert site.table.look() == trial.InForce(LOCKED.digest)
    assert site.table.compare(LOCKED).problem is None
    assert site.table.compare(OTHER).problem is not None


def test_what_was_open_stays_open(site: Site) -> None:
    # The connection is older than the first rule that has the kernel keep track of any.
    rules = trial.Rules({"input": ["tcp flags & syn == 0x0 accept", "ct state established,related accept"]})
    with site.host.listen(23) as listener:
        with site.visitor.entered():
            client = socket.create_connection((site.host.address[4], 23), timeout=1)
        with client:
            accepted, _address = listener.accept()
            accepted.settimeout(1)
            with accepted:
                closing = trial.Rules({"input": [*rules.chains["input"], "tcp dport 23 drop"]})
                site.table.confirm(closing, site.table.propose(closing, 10))
                assert not site.visitor.connects(site.host, 23)
                client.sendall(b"still here")
                assert accepted.recv(20) == b"still here"


def test_a_confirmation_that_comes_too_late_is_refused(site: Site) -> None:
    token = site.table.propose(LOCKED, 1)
    text = trial.confirm(TABLE, LOCKED, Nft().table(TABLE) or [])
    time.sleep(1.2)
    before = site.ruleset()
    with pytest.raises(FirewallError, match="the trial of bulwark_test is over: the former rules are in force"):
        site.table.confirm(LOCKED, token)
    # And by the kernel itself, for the one that looked in time and came too late.
    with pytest.raises(FirewallError, match="nothing was changed"):
        Nft().apply(text)
    assert site.ruleset() == before
    assert site.open() == {4, 6}


def test_only_the_trial_that_runs_can_be_confirmed(site: Site) -> None:
    first = site.table.propose(LOCKED, 30)
    second = site.table.propose(OTHER, 30)
    for rules, token in ((LOCKED, first), (OTHER, first), (LOCKED, second)):
        with pytest.raises(FirewallError, match="another run has proposed other rules of bulwark_test"):
            site.table.confirm(rules, token)
    site.table.withdraw()
    with pytest.raises(FirewallError, match="is over"):
        site.table.confirm(OTHER, second)
    assert site.open() == {4, 6}


def test_there_is_no_moment_without_rules(site: Site) -> None:
    """Rules are exchanged all the time: without them the locked port is open, with some of them the open one isn't."""
    kept = ["udp dport 80 accept", "tcp dport 8080 accept", "meta l4proto { tcp, udp } drop"]
    versions = [trial.Rules({"input": [f"tcp dport {number} drop", *kept]}) for number in (1001, 1002)]
    site.table.confirm(versions[0], site.table.propose(versions[0], 30))
    traffic = _Traffic(site)
    changes = 0
    start = time.monotonic()
    with traffic:
        # A busy machine takes longer for as much.
        while time.monotonic() - start < 4 or changes < 10 or traffic.sent < 2000 or traffic.connections < 100:
            assert time.monotonic() - start < waiting.SECONDS, (changes, traffic.sent, traffic.connections)
            rules = versions[changes % 2]
            site.table.confirm(rules, site.table.propose(rules, 30))
            site.table.establish(rules)
            changes += 1
    assert traffic.received_locked == 0
    assert traffic.received == traffic.sent
    assert traffic.refused == 0


class _Traffic:
    """A visitor who sends to a locked and to an open port all the time, and makes connections."""

    def __init__(self, site: Site) -> None:
        self.sent = self.received = self.received_locked = self.connections = self.refused = 0
        self._site = site
        self._stopped = threading.Event()
        self._open = site.host.listen(80, 4, socket.SOCK_DGRAM)
        self._locked = site.host.listen(22, 4, socket.SOCK_DGRAM)
        for listener in (self._open, self._locked):
            listener.setblocking(False)
        with site.visitor.entered():
            self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._threads = [threading.Thread(target=task) for task in (self._packets, self._connect)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_problem: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        time.sleep(0.1)
        self._drain()
        for used in (self._open, self._locked, self._sender):
            used.close()

    def _packets(self) -> None:
        while not self._stopped.is_set():
            self._sender.sendto(b"x", (self._site.host.address[4], 22))
            self._sender.sendto(b"x", (self._site.host.address[4], 80))
            self.sent += 1
            self._drain()
            time.sleep(0.0005)

    def _drain(self) -> None:
        self.received += _drained(self._open)
        self.received_locked += _drained(self._locked)

    def _connect(self) -> None:
        while not self._stopped.is_set():
            self.refused += not self._site.visitor.connects(self._site.host, 8080)
            self.connections += 1
            time.sleep(0.005)


def _drained(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            listener.recv(16)
        except BlockingIOError:
            return count
        count += 1


def test_sets_keep_what_is_in_them_when_rules_are_exchanged(site: Site) -> None:
    site.table.confirm(LOCKED, site.table.propose(LOCKED, 30))
    Nft().apply(f"add element inet {TABLE} grants4 {{ 10.99.0.0/24 . tcp . 22 timeout 60s }}")
    site.table.confirm(OTHER, site.table.propose(OTHER, 30))
    site.table.establish(OTHER)
    (element,) = Nft().elements(TABLE, "grants4")
    assert element.key == ("10.99.0.0/24", "tcp", "22")
    assert element.timeout == 60
    assert element.left is not None
    assert 50 < element.left <= 60


def test_what_is_no_longer_needed_goes_when_it_is_confirmed(site: Site) -> None:
    both = trial.Rules(
        {"input": ["tcp dport 22 drop"], "output": ["tcp dport 25 drop"]}, {"old": "type ipv4_addr; flags timeout;"}
    )
    site.table.confirm(both, site.table.propose(both, 30))
    token = site.table.propose(OTHER, 30)
    assert "hook output" in site.ruleset()
    assert "set old" in site.ruleset()
    site.table.confirm(OTHER, token)
    assert "output" not in site.ruleset()
    assert "set old" not in site.ruleset()
    assert site.table.compare(OTHER).problem is None


def test_sets_of_a_trial_that_is_over_go_when_other_rules_replace_it(site: Site) -> None:
    using = trial.Rules({"input": ["ip saddr @old drop"]}, {"old": "type ipv4_addr; flags timeout;"})
    for is_confirmed in (True, False):
        token = site.table.propose(using, 30)
        if is_confirmed:
            site.table.confirm(using, token)
        site.table.replace(OTHER)
        assert "set old" not in site.ruleset()
        assert site.table.compare(OTHER).problem is None
        assert site.table.look() == trial.InForce(OTHER.digest)


def test_check_changes_nothing_and_a_broken_text_applies_nothing(site: Site) -> None:
    site.host.run("nft", "add", "table", "ip", "theirs")
    before = site.ruleset()
    site.table.check(LOCKED)
    assert site.ruleset() == before
    broken = trial.Rules({"input": [*LOCKED.chains["input"], "tcp dport 99999 drop"]}, LOCKED.sets)
    for attempt in (site.table.check, lambda rules: site.table.propose(rules, 5), site.table.establish):
        with pytest.raises(
            FirewallError, match=r"nft refused 'add rule .* tcp dport 99999 drop': .*nothing was changed"
        ):
            attempt(broken)
        assert site.ruleset() == before
    # What only the kernel can refuse, too: the last line, after all others.
    missing = trial.Rules({"input": ["tcp dport 22 drop", "jump nowhere"]})
    with pytest.raises(FirewallError, match=r"jump nowhere': .*No such file"):
        site.table.propose(missing, 5)
    assert site.ruleset() == before
    assert site.open() == {4, 6}


def test_another_table_is_not_touched(site: Site) -> None:
    theirs = "table ip theirs {\n\tchain in {\n\t\ttype filter hook input priority filter; policy accept;\n\t}\n}\n"
    site.host.run("nft", "-f", "-", given=theirs)
    site.table.confirm(LOCKED, site.table.propose(LOCKED, 30))
    assert theirs in site.ruleset()
    assert site.table.remove()
    assert site.ruleset() == theirs
    assert not site.table.remove()
    assert site.table.look() is None
    assert site.open() == {4, 6}


@pytest.mark.parametrize(
    "change",
    [
        f"flush chain inet {TABLE} confirmed_input",
        f"insert rule inet {TABLE} confirmed_input accept",
        f"insert rule inet {TABLE} input accept",
        f"add rule inet {TABLE} confirmed_input tcp dport 23 accept",
        f"add chain inet {TABLE} another {{ type filter hook input priority -200; policy accept; }}",
        f"flush chain inet {TABLE} input",
        f"add set inet {TABLE} another {{ type ipv4_addr; }}",
    ],
)
def test_a_change_of_somebody_else_is_seen(site: Site, change: str) -> None:
    site.table.confirm(LOCKED, site.table.propose(LOCKED, 30))
    assert site.table.compare(LOCKED).problem is None
    before = site.ruleset()
    assert site.table.compare(LOCKED).problem is None
    assert site.ruleset() == before
    Nft().apply(change)
    assert site.table.compare(LOCKED).problem is not None


@pytest.mark.requires("command:setpriv")
def test_a_change_is_seen_in_a_container_that_may_make_no_network(site: Site) -> None:
    site.table.confirm(LOCKED, site.table.propose(LOCKED, 30))
    before = site.ruleset()
    program = (
        f"import sys; sys.path.insert(0, {str(paths.COLLECTIONS)!r})\n"
        "from ansible_collections.bulwark.servers.plugins.module_utils.firewall import nft, own, trial\n"
        f"rules = trial.Rules({dict(LOCKED.chains)!r}, {dict(LOCKED.sets)!r})\n"
        f"print(own.OwnTable(nft.Nft(), {TABLE!r}).compare(rules).problem is None)"
    )
    command = ["setpriv", "--bounding-set", "-sys_admin", sys.executable, "-c", program]
    assert subprocess.run([*command[:3], "unshare", "--net", "true"], capture_output=True, check=False).returncode != 0
    assert site.host.run(*command) == "True\n"
    assert site.ruleset() == before
    assert site.open() == set()
    Nft().apply(f"insert rule inet {TABLE} confirmed_input accept")
    assert site.host.run(*command) == "False\n"
    assert "rehearsal" not in site.ruleset()


def test_a_rehearsal_sees_no_packet(site: Site) -> None:
    Nft().apply(trial.rehearse("bulwark_test_rehearsal", LOCKED))
    assert site.open() == {4, 6}
    assert "bulwark_test_rehearsal" in site.ruleset()


def test_traffic_and_openings_are_no_change(site: Site) -> None:
    site.table.confirm(LOCKED, site.table.propose(LOCKED, 30))
    Nft().apply(f"add element inet {TABLE} grants4 {{ 10.99.0.2 . tcp . 22 timeout 60s }}")
    assert site.open() == set()
    assert site.table.compare(LOCKED).problem is None
    # Nor is what a trial left that nobody confirmed.
    site.table.propose(trial.Rules({"output": ["accept"]}, {"more": "type ipv4_addr;"}), 30)
    site.table.withdraw()
    assert site.table.compare(LOCKED).problem is None


def test_a_set_is_read_as_it_is(site: Site) -> None:
    sets = {
        "counted": "type ipv6_addr . inet_proto . inet_service; flags dynamic,timeout; timeout 1d; size 100;",
        "plain": "type inet_service; flags interval;",
    }
    rules = trial.Rules(
        {"input": ["tcp dport 22 update @counted { ip6 saddr . meta l4proto . th dport counter } drop"]}, sets
    )
    site.table.confirm(rules, site.table.propose(rules, 30))
    Nft().apply(f"add element inet {TABLE} plain {{ 22, 8000-8100 }}")
    assert not site.visitor.connects(site.host, 22, 6)
    (counted,) = Nft().elements(TABLE, "counted")
    assert counted.key == ("fd99::2", "tcp", "22")
    assert counted.packets == 1
    assert (counted.timeout, counted.left) in {(None, 86400), (None, 86399), (86400, 86400), (86400, 86399)}
    assert [element.key for element in Nft().elements(TABLE, "plain")] == [("22",), ("8000-8100",)]


def test_a_set_of_who_came_gives_places_away_again(site: Site) -> None:
    """Fill it: there is no other place until what is in it has expired, and one without anybody doing a thing then."""
    sets = {"came": trial.remembered("ipv4_addr . inet_service", 1, 3)}
    rules = trial.Rules({"input": ["tcp dport 22 update @came { ip saddr . tcp sport counter } drop"]}, sets)
    site.table.confirm(rules, site.table.propose(rules, 30))
    add = f"add element inet {TABLE} came {{ 192.0.2.%d . 22 }}"
    Nft().apply(add % 1)
    with pytest.raises(FirewallError, match="Too many open files in system"):
        Nft().apply(add % 2)
    _until(lambda: Nft().elements(TABLE, "came") == [])

    def placed() -> bool:
        try:
            Nft().apply(add % 2)
        except FirewallError:
            return False
        return True

    # Each attempt is a transaction, and the kernel begins anew to collect what has expired when one comes between.
    _until(placed, pause=0.5)
    assert site.table.compare(rules).problem is None
    assert '"gc-interval": 1' in site.host.run("nft", "--json", "list", "ruleset")


def test_what_is_missing_is_said_in_one_sentence(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FirewallError, match="there is no no-such-nft on this host: install nftables"):
        Nft(program="no-such-nft").check("")
    for said, sentence in (
        ("echo 'netlink: Error: cache initialization failed: Protocol not supported' >&2", "has no nf_tables"),
        ("setpriv --bounding-set -net_admin nft list tables", "root has no CAP_NET_ADMIN here"),
        ("echo 'Error: JSON support not compiled-in' >&2", "without JSON"),
        ("echo '{'; exit 0", "something else than JSON"),
    ):
        program = tmp_path / "nft"
        program.write_text(f"#!/bin/sh\n{said}\nexit ${{1:+1}}\n")
        program.chmod(0o755)
        with pytest.raises(FirewallError, match=sentence):
            Nft(program=str(program)).tables()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(FirewallError, match="did not end in time"):
        Nft(timeout=0.2, program=str(program)).tables()
