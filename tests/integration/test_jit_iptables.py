# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is particular to hosts without nft: iptables changes one table of one version of IP at a time."""

from __future__ import annotations

import fcntl
import json
import pathlib
import shlex
import subprocess
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot, iptables, persist_chains
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.ipset import IpSet
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own_chains import OwnChains

from tests.integration._jit import Iptables, Site, listening, since_boot, site_without_nft
from tests.integration.test_jit_access import reached

pytestmark = [
    pytest.mark.requires("root", "command:ip", "command:ipset", "command:iptables-legacy", "command:iptables-nft"),
    pytest.mark.xdist_group("jit_iptables"),
]

BESIDE = """
table inet bulwark_network {
    set grants4 { type ipv4_addr . inet_proto . inet_service; flags interval,timeout; }
    set grants6 { type ipv6_addr . inet_proto . inet_service; flags interval,timeout; }
    chain input {
        type filter hook input priority 5;
        ip saddr . meta l4proto . th dport @grants4 accept
        tcp flags syn tcp dport 22 drop
    }
}
"""


@pytest.fixture(name="site", params=["legacy"])
def _site(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> t.Iterator[Site]:
    with site_without_nft(tmp_path, request.param) as found:
        yield found


both_variants = pytest.mark.parametrize("site", ["legacy", "nft"], indirect=True)


def way(site: Site) -> Iptables:
    assert isinstance(site.way, Iptables)
    return site.way


@both_variants
def test_a_lock_on_trial_falls_back_is_confirmed_and_removed(site: Site) -> None:
    site.way.others()
    before = site.way.everything()
    with listening(site.host, 22, 80):
        tried = site.access(confirm_within=10)
        start = time.monotonic()
        assert tried["backend"] == "iptables"
        assert reached(site.friend, site, 22) == []
        assert reached(site.friend, site, 80) == reached(site.host, site, 22) == [4, 6]
        while not site.friend.connects(site.host, 22):
            assert time.monotonic() - start < 12
        assert time.monotonic() - start > 8
        with pytest.raises(FirewallError, match="the trial of bulwark_jit is over"):
            site.access(_confirm=tried["trial"]["token"])
        locked = site.lock()
        assert locked["confirmed"]
        end = site.ending(8, sources=[site.friend.address[4], site.friend.address[6]])
        assert reached(site.friend, site, 22) == [4, 6]
        assert reached(site.stranger, site, 22) == []
        time.sleep(max(0.0, end - since_boot() + 0.1))
        assert reached(site.friend, site, 22) == []
        found = site.info()
        assert (found["backend"], found["in_force"], found["grants_in_force"]) == ("iptables", True, True)
        assert not site.access()["changed"]
        assert site.access(state="absent", ports=None)["changed"]
        assert reached(site.stranger, site, 22) == [4, 6]
    assert site.way.everything() == before


@pytest.mark.parametrize("failing", ["iptables-restore", "ip6tables-restore", "ipset"])
def test_what_one_of_the_programs_refuses_is_in_force_in_none(site: Site, failing: str) -> None:
    # As the last one that is run of its kind.
    program = way(site).programs / failing
    real = program.resolve()
    with listening(site.host, 22, 8000):
        for before in ({}, {"ports": [{"port": "8000"}]}):
            if before:
                site.lock(**before)
            kept = site.way.rules() if before else site.way.everything()
            program.unlink()
            refused = "timeout 10" if failing == "ipset" else "BULWARK_JIT_PROPOSED -m comment"
            program.write_text(
                f'#!/bin/sh\ngiven=$(/bin/cat)\ncase "$given" in *"{refused}"*) echo "no room" >&2; exit 1;; esac\n'
                f'printf "%s\\n" "$given" | /usr/bin/env -a {failing} {real} "$@"\n'
            )
            program.chmod(0o755)
            with pytest.raises(FirewallError, match="no room"):
                site.access(confirm_within=10)
            program.unlink()
            program.symlink_to(real)
            assert reached(site.stranger, site, 22) == [4, 6]
            assert reached(site.stranger, site, 8000) == ([] if before else [4, 6])
            if before:
                assert site.info()["in_force"]
            else:
                assert site.way.everything() == kept
        site.lock()
        assert reached(site.stranger, site, 22) == []


def test_a_trial_that_ends_while_it_is_confirmed_is_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(site.host, 22, 8000):
        site.lock(ports=[{"port": "8000"}])
        real = IpSet.apply_strictly

        def late(self: IpSet, text: str) -> None:
            if text.startswith("del"):
                # The one of IPv6 expires first.
                site.host.run("ipset", "del", "bulwark_jit_trial6", "::/1")
            real(self, text)

        tried = site.access()
        assert reached(site.stranger, site, 22) == []
        monkeypatch.setattr(IpSet, "apply_strictly", late)
        with pytest.raises(FirewallError, match="ended in this moment"):
            site.access(_confirm=tried["trial"]["token"])
        assert reached(site.stranger, site, 22) == [4, 6]
        assert reached(site.stranger, site, 8000) == []
        found = site.info()
        assert found["in_force"]
        assert found["policy"]["ports"][0]["port"] == "8000"


def test_what_is_confirmed_stays_when_the_process_ends_right_after_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(site.host, 22, 8000):
        with monkeypatch.context() as patch:
            patch.setattr(OwnChains, "_finish", lambda _self: None)
            site.lock()
        assert reached(site.stranger, site, 22) == []
        assert site.info()["in_force"]
        assert not site.access()["changed"]
        # Another one on trial leaves it alone, and takes its place when it is confirmed.
        site.access(ports=[{"port": "80"}], confirm_within=10)
        assert reached(site.stranger, site, 22) == [4, 6]
        time.sleep(10.5)
        assert reached(site.stranger, site, 22) == []
        assert site.info()["in_force"]
        site.lock(ports=[{"port": "8000"}])
        assert reached(site.stranger, site, 22) == [4, 6]
        assert reached(site.stranger, site, 8000) == []


@pytest.mark.parametrize(
    ("command", "subject"),
    [
        ("iptables -D INPUT -j BULWARK_JIT", "policy"),
        ("ip6tables -t mangle -D PREROUTING -j BULWARK_JIT", "policy"),
        ("iptables -I INPUT -p tcp --dport 22 -j ACCEPT", "policy"),
        ("ip6tables -I BULWARK_JIT_CONFIRMED -s fd99::3 -j RETURN", "policy"),
        ("iptables -F", "policy"),
        ("ipset add bulwark_jit_trial4 10.99.0.3", "policy"),
        ("ipset add bulwark_jit_grants4 10.99.0.3,tcp:22", "openings"),
        ("ipset add bulwark_jit_grants6 fd99::/64,tcp:22 timeout 3600", "openings"),
        ("ipset del bulwark_jit_grants4 10.99.0.2,tcp:22", None),
    ],
)
def test_rules_that_somebody_changed_are_found_and_set_right(site: Site, command: str, subject: str | None) -> None:
    site.lock()
    site.grant()
    assert site.findings() == []
    program, *arguments = command.split(" ")
    if program != "ipset":
        program = way(site).families[program == "ip6tables"]
    site.host.run(program, *arguments)
    assert site.findings() == ([("jit_policy_missing", subject)] if subject else [])
    assert site.info()["grants_in_force"] is (subject is not None)
    again = site.access()
    assert again["changed"]
    if again["trial"]:
        site.access(_confirm=again["trial"]["token"])
    assert site.findings() == []
    assert not site.access()["changed"]
    assert site.way.openings() == 1


def test_sets_that_somebody_flushes_leave_the_ports_locked(site: Site) -> None:
    with listening(site.host, 22):
        site.lock()
        site.host.run("ipset", "flush")
        assert reached(site.stranger, site, 22) == []


def test_rules_that_somebody_flushes_are_back_with_what_is_open(site: Site) -> None:
    with listening(site.host, 22):
        site.lock()
        end = site.ending(20)
        for family in way(site).families:
            for table in ("filter", "mangle"):
                site.host.run(family, "-t", table, "-F")
                site.host.run(family, "-t", table, "-X")
        assert reached(site.stranger, site, 22) == [4, 6]
        assert site.findings() == [("jit_policy_missing", "policy")]
        site.lock()
        assert reached(site.stranger, site, 22) == []
        assert site.friend.connects(site.host, 22)
        time.sleep(max(0.0, end - since_boot() + 0.1))
        assert not site.friend.connects(site.host, 22)


def test_everybody_and_many_ports(site: Site) -> None:
    with listening(site.host, 22, 8000, 60000):
        site.lock(ports=[{"port": "1-65535"}])
        site.grant(sources=["0.0.0.0/0", "::/0"])
        assert reached(site.stranger, site, 22) == [4, 6]
        start = time.monotonic()
        site.grant(ports=["1024-65535"])
        assert time.monotonic() - start < 10
        assert reached(site.friend, site, 60000) == [4]
        assert not site.stranger.connects(site.host, 60000)
        assert site.findings() == [("jit_locked_port_attempts", "tcp/60000")]
        with pytest.raises(HostError, match="needs more than 131072 entries of ipset, which holds each port"):
            site.grant(ports=["1-65535"], sources=["10.0.0.0/24", "10.1.0.0/24"], for_whom="bob")
        assert reached(site.friend, site, 60000) == [4]


def test_another_firewall_that_denies_it_is_named_and_nothing_is_opened(site: Site) -> None:
    site.host.run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP")
    site.lock()
    denied = site.grant()
    assert denied["failed"]
    assert "iptables (legacy table filter of iptables) denies tcp 22 from 10.99.0.2/32" in denied["msg"]
    assert site.info()["other_firewalls"] == ["iptables (legacy table filter of iptables)"]
    assert site.grant(ports=["8000"])["denied_by"] == []


def test_an_iptables_that_is_busy_is_waited_for(site: Site) -> None:
    with pathlib.Path("/run/xtables.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        timer = threading.Timer(1.0, fcntl.flock, (lock, fcntl.LOCK_UN))
        timer.start()
        start = time.monotonic()
        site.lock()
        timer.join()
    assert time.monotonic() - start > 1
    assert site.info()["in_force"]


def test_what_is_confirmed_stays_when_it_can_not_be_made_room_for_another(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(site.host, 22, 8000):
        site.lock(ports=[{"port": "8000"}])
        with monkeypatch.context() as patch:
            patch.setattr(OwnChains, "_finish", lambda _self: None)
            site.lock()

        def fails(_self: OwnChains) -> None:
            raise FirewallError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(OwnChains, "_finish", fails)
            with pytest.raises(FirewallError, match="no room"):
                site.access(ports=[{"port": "80"}])
        assert site.info()["in_force"]
        assert reached(site.stranger, site, 22) == []
        assert reached(site.stranger, site, 8000) == []


def test_rules_of_the_other_variant_are_told_of(site: Site) -> None:
    site.lock()
    for family in ("iptables", "ip6tables"):
        for end in ("", "-save", "-restore"):
            program = way(site).programs / f"{family}{end}"
            program.unlink()
            program.symlink_to(f"{family}-nft{end}")
    assert site.findings() == [("jit_policy_missing", "policy")]
    for changes in ({}, {"state": "absent", "ports": None}):
        with pytest.raises(FirewallError, match="is used by rules that iptables does not show: look for them with"):
            site.access(**changes)
    with listening(site.host, 22):
        assert reached(site.stranger, site, 22) == []


def test_what_is_opened_is_open_in_tables_of_ours_beside_it(site: Site) -> None:
    site.host.run("nft", "-f", "-", given=BESIDE)
    way(site).install("nft")
    with listening(site.host, 22):
        site.lock(backend="iptables")
        assert reached(site.friend, site, 22) == []
        opened = site.grant()
        assert site.friend.connects(site.host, 22)
        site.grant(state="closed", id=opened["id"])
        assert not site.friend.connects(site.host, 22)
        assert "10.99.0.2" not in site.nft("list", "ruleset")


def test_a_look_uses_nothing_that_the_host_does_not(site: Site) -> None:
    names = [pathlib.Path(f"/proc/thread-self/net/{name}_tables_names") for name in ("ip", "ip6")]
    with site.host.entered():
        before = [name.read_text() for name in names]
    assert site.info()["policy"] is None
    assert not site.access(state="absent", ports=None)["changed"]
    with site.host.entered():
        assert [name.read_text() for name in names] == before == ["", ""]


def test_a_host_where_rules_can_not_be_tried_out_apart_says_what_was_not_compared(site: Site) -> None:
    (way(site).programs / "unshare").unlink()
    with listening(site.host, 22):
        site.lock()
        assert reached(site.stranger, site, 22) == []
        found = site.info()
    assert (found["in_force"], [entry["status"] for entry in found["coverage"]]) == (True, ["partial", "checked"])
    assert "there is no unshare on this host: install util-linux" in str(found["coverage"][0])


def test_a_host_without_ipv6_is_locked_with_what_it_has(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iptables, "_NETS", (str(tmp_path),))
    for name in ("ip6tables", "ip6tables-save", "ip6tables-restore"):
        (way(site).programs / name).unlink()
    with listening(site.host, 22):
        site.lock()
        assert not site.stranger.connects(site.host, 22)
        site.grant()
        assert site.friend.connects(site.host, 22)
        assert site.info()["in_force"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("ipset", "there is no nft on this host: install nftables; and there is no ipset on this host: install ipset"),
        ("ip6tables-save", "there is no ip6tables-save on this host: install iptables"),
    ],
)
def test_a_host_that_has_neither_is_told_what_to_install(site: Site, missing: str, said: str) -> None:
    (way(site).programs / missing).unlink()
    with pytest.raises(FirewallError, match=said):
        site.access()
    assert site.info()["policy"] is None
    assert not site.access(state="absent", ports=None)["changed"]


def _units(site: Site, state: pathlib.Path, programs: pathlib.Path) -> list[boot.Unit]:
    with site.host.entered():
        own = OwnChains("bulwark_jit")
        names = ["ipset", *(f"{family}{end}" for family in ("iptables", "ip6tables") for end in ("", "-restore"))]
        return persist_chains.units(boot.Place(str(state)), own, {name: str(programs / name) for name in names})


def _commands(site: Site) -> list[list[str]]:
    """Return what the units run, in their order."""
    units = _units(site, site.state, way(site).programs.absolute())
    return [shlex.split(command.replace("$$", "$")) for unit in units for command in unit.commands]


@both_variants
def test_after_a_boot_the_ports_are_locked_and_nothing_is_open(site: Site) -> None:
    with listening(site.host, 22):
        locked = site.lock()
        assert locked["survives_reboot"] is False
        (warning,) = locked["warnings"]
        assert warning.startswith(
            "The rules are not there after a reboot: this host has no systemd that could load them; "
        )
        assert warning.endswith("are saved for a boot, or none of what was saved is loaded then.")
        site.grant()
        commands = _commands(site)
        for family in way(site).families:
            for table in ("filter", "mangle"):
                site.host.run(family, "-t", table, "-F")
                site.host.run(family, "-t", table, "-X")
        time.sleep(0.5)
        site.host.run("ipset", "destroy")
        assert reached(site.stranger, site, 22) == [4, 6]
        for command in commands:
            site.host.run(*command)
        assert reached(site.friend, site, 22) == reached(site.stranger, site, 22) == []
        found = site.info()
        assert found["in_force"]
        assert not found["grants_in_force"]
        # Loaded once more, they leave alone what is open and what is before and behind them.
        assert site.access()["changed"]
        assert site.friend.connects(site.host, 22)
        before = site.way.rules()
        for command in commands:
            site.host.run(*command)
        assert site.way.rules() == before
        assert site.friend.connects(site.host, 22)
        # A trial that runs meanwhile is none any more.
        tried = site.access(ports=[{"port": "80"}])
        for command in commands:
            site.host.run(*command)
        assert reached(site.stranger, site, 22) == []
        with pytest.raises(FirewallError, match="the trial of bulwark_jit is over"):
            site.access(_confirm=tried["trial"]["token"])


@pytest.mark.requires("command:systemd-analyze")
@pytest.mark.parametrize("name", ["state", "two words", "50% $HOME"])
def test_systemd_takes_the_unit(site: Site, tmp_path: pathlib.Path, name: str) -> None:
    place = boot.Place(str(tmp_path / name))
    units = _units(site, tmp_path / name, pathlib.Path("/usr/sbin"))
    for unit in units:
        (tmp_path / unit.name).write_text(unit.text(place))
    files = [str(tmp_path / unit.name) for unit in units]
    answer = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "bulwark" not in answer.stderr


def test_what_somebody_has_saved_is_loaded_at_boot_and_what_is_open_in_it_is_not(site: Site) -> None:
    way(site).others()
    with listening(site.host, 22, 80):
        site.lock()
        site.grant()
        sets = site.host.run("ipset", "save")
        saved = [site.host.run(f"{family}-save") for family in way(site).families]
        made, *commands = _commands(site)
        for family in way(site).families:
            for table in ("filter", "mangle"):
                site.host.run(family, "-t", table, "-F")
                site.host.run(family, "-t", table, "-X")
        site.host.run("ipset", "destroy")
        # The first unit comes before what loads them, and rules that use sets can be loaded.
        site.host.run(*made)
        site.host.run("ipset", "-exist", "restore", given=sets)
        for family, rules in zip(way(site).families, saved, strict=True):
            site.host.run(f"{family}-restore", given=rules)
        for command in commands:
            site.host.run(*command)
        assert site.friend.connects(site.host, 22), "in the same boot, as when iptables is started again, it stays open"
        assert not site.stranger.connects(site.host, 22)
        assert site.findings() == [("jit_locked_port_attempts", "tcp/22")]

        file = site.state / "jit" / "grants.json"
        file.write_text(file.read_text().replace(json.loads(file.read_text())["boot"], "an-earlier-one/1"))
        for command in commands:
            site.host.run(*command)
        assert reached(site.friend, site, 22) == []
        assert reached(site.friend, site, 80) == [4, 6]


def test_a_host_that_gets_nft_moves_there_on_trial_and_back(site: Site) -> None:
    files = site.state / "firewall"
    with listening(site.host, 22):
        site.lock()
        site.grant()
        way(site).install("nft")
        assert site.access(check=True)["backend"] == "nftables"
        tried = site.access(confirm_within=10)
        assert (tried["changed"], tried["backend"]) == (True, "nftables")
        assert tried["problem"] == "it was in iptables, and is to be in nftables"
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)
        # Nobody confirms it.
        time.sleep(10.5)
        found = site.info()
        assert (found["backend"], found["in_force"], found["trial_seconds_left"]) == ("iptables", True, 0)
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)

        # What is left of it is removed by who stays.
        assert site.nft("list", "tables") == "table inet bulwark_jit\n"
        assert site.access(backend="iptables")["changed"]
        assert site.nft("list", "tables") == ""
        assert not site.access(backend="iptables")["changed"]
        # Nor is anything in the way when nft is gone again.
        site.access()
        (way(site).programs / "nft").rename(way(site).programs / "away")
        site.grant(ports=["8000"], for_whom="eve")
        site.grant(state="closed", for_whom="eve")
        (way(site).programs / "away").rename(way(site).programs / "nft")

        # What is opened while a trial runs is open in both.
        tried = site.access()
        site.grant(sources=[site.stranger.address[6]], for_whom="bob")
        assert reached(site.stranger, site, 22) == [6]
        moved = site.access(_confirm=tried["trial"]["token"])
        assert moved["confirmed"]
        assert site.way.everything() == ""
        assert reached(site.friend, site, 22) == [4]
        assert reached(site.stranger, site, 22) == [6]
        found = site.info()
        assert (found["backend"], found["in_force"], found["grants_in_force"]) == ("nftables", True, True)
        assert {file.suffix for file in files.glob("bulwark_jit.*")} == {".nft", ".sh"}
        assert not site.access()["changed"]

        site.lock(backend="iptables")
        assert site.nft("list", "tables") == ""
        assert reached(site.friend, site, 22) == [4]
        assert reached(site.stranger, site, 22) == [6]
        assert site.info()["backend"] == "iptables"
        assert {file.suffix for file in files.glob("bulwark_jit.*")} == {".ipset", ".sh", ".iptables", ".ip6tables"}
        assert not site.access(backend="iptables")["changed"]
        site.access(state="absent", ports=None)
        assert site.way.everything() == site.nft("list", "tables") == ""


def test_what_could_not_be_removed_after_a_move_is_removed_by_the_next_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.lock()
    way(site).install("nft")

    def fails(_self: OwnChains) -> bool:
        raise FirewallError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(OwnChains, "remove", fails)
        with pytest.raises(FirewallError, match="not now"):
            site.lock()
    assert "BULWARK_JIT" in site.way.everything()
    assert site.info()["backend"] == "nftables"
    assert site.access()["changed"]
    assert site.way.everything() == ""
    assert not site.access()["changed"]


def test_a_host_that_has_lost_nft_says_so_and_keeps_its_policy(site: Site) -> None:
    way(site).install("nft")
    site.lock()
    (way(site).programs / "nft").unlink()
    for options in ({}, {"backend": "iptables"}):
        with pytest.raises(FirewallError, match="there is no nft on this host: install nftables"):
            site.access(**options)
    assert [entry["status"] for entry in site.info()["coverage"]] == ["not_checked"] * 2
    assert site.way.everything() == ""
