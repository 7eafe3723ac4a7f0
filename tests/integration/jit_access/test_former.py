# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier versions have left on a host: state files, chains of iptables, sets of ipset, units; and too old hosts.

The files of ``_former`` were written by the last version that locked with iptables.
"""

from __future__ import annotations

import json
import pathlib
import shlex
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock

from tests.integration.jit_access._jit import Site, listening, site
from tests.support import commands

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:ipset", "command:iptables-legacy"),
    pytest.mark.requires("command:iptables-nft", "command:unshare"),
    pytest.mark.xdist_group("jit_former"),
]

FORMER = pathlib.Path(__file__).parent / "_former"
VARIANTS = ("legacy", "nft")
UNITS = ("bulwark-firewall-jit-ipset.service", "bulwark-firewall-jit-iptables.service")


class Former:
    """A host that an earlier version has locked, with one of the variants of iptables."""

    def __init__(self, found: Site, variant: str, units: pathlib.Path) -> None:
        self.site = found
        self.variant = variant
        self.units = units
        # A rule of somebody else, which is to stay.
        for family in ("iptables", "ip6tables"):
            found.host.run(f"{family}-{variant}", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP")
        self.before = self.rules()
        found.host.run("ipset", "restore", given=(FORMER / "ipset").read_text())
        for family in ("iptables", "ip6tables"):
            text = (FORMER / family).read_text()
            found.host.run(f"{family}-{variant}-restore", "--noflush", given=text)
        for directory, names in (("jit", ("policy.json", "grants.json")), ("firewall", ())):
            (found.state / directory).mkdir(parents=True, mode=0o700)
            for name in names:
                (found.state / directory / name).write_text((FORMER / name).read_text())
        found.state.chmod(0o700)
        for ending in ("ipset", "ipset.sh", "iptables", "ip6tables"):
            (found.state / "firewall" / f"bulwark_jit.{ending}").write_text("# as it was\n")
        for name in UNITS:
            wants = units / "sysinit.target.wants"
            wants.mkdir(exist_ok=True)
            (units / name).write_text("[Service]\n")
            (wants / name).symlink_to(units / name)

    def rules(self) -> list[str]:
        saved = [
            line
            for family in ("iptables", "ip6tables")
            for line in self.site.host.run(f"{family}-{self.variant}-save").splitlines()
            if line.startswith("-A")
        ]
        return [*saved, *self.site.host.run("ipset", "-n", "list").split()]


@pytest.fixture(params=VARIANTS)
def former(
    tmp_path: pathlib.Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> t.Iterator[Former]:
    units = tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr(boot.Place.__init__, "__defaults__", (str(tmp_path), str(units), str(tmp_path / "no-systemd")))
    with site(tmp_path) as found:
        yield Former(found, request.param, units)


def test_chains_of_an_earlier_version_are_named_with_what_removes_them(former: Former) -> None:
    found = former.site
    with listening(found.host, 22):
        assert not found.stranger.connects(found.host, 22)
        seen = found.info()
        assert seen["policy"]["ports"][0]["port"] == "22"
        assert [one["id"] for one in seen["history"]][-1] == "request-old-2"
        alerts = {one["subject"]: one for one in seen["detections"]}
        assert set(alerts) == {"policy", "iptables", "boot"}
        wanted = alerts["iptables"]["evidences"][0]["data"]["commands"]
        for command in ("-t filter -D INPUT -j BULWARK_JIT", "-t mangle -X BULWARK_JIT_CONFIRMED_DENY"):
            assert f"iptables-{former.variant} -w {command}" in wanted
            assert f"ip6tables-{former.variant} -w {command}" in wanted
        (said,) = found.access(check=True)["warnings"]
        assert said.startswith("An earlier version has locked ports with iptables")
        assert "; ".join(wanted) in said

        # They are what they are said to be.
        for command in wanted:
            if not command.startswith("systemctl"):
                found.host.run(*shlex.split(command))
        assert list(former.units.glob("bulwark*")) == []
        assert former.rules() == former.before
        assert found.stranger.connects(found.host, 22)
        assert (
            "and its chains are gone"
            in {one["subject"]: one["message"] for one in found.info()["detections"]}["iptables"]
        )
        assert found.lock()["warnings"][0].startswith("The rules are not there after a reboot")
        assert found.findings() == []


def test_absent_removes_what_an_earlier_version_has_left(former: Former) -> None:
    found = former.site
    with listening(found.host, 22):
        assert found.access(check=True, state="absent", ports=None)["changed"]
        assert former.rules() != former.before
        assert found.access(state="absent", ports=None)["changed"]
        assert former.rules() == former.before
        assert found.stranger.connects(found.host, 22)
        assert list(former.units.rglob("bulwark*")) == []
        assert list((found.state / "firewall").glob("bulwark_jit*")) == []
        assert not found.access(state="absent", ports=None)["changed"]
        assert found.lock()["confirmed"]
        assert found.findings() == []


def test_a_host_without_chains_of_ours_asks_iptables_for_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = _command.run
    with site(tmp_path) as found:
        found.host.run("ipset", "create", "theirs", "hash:ip")
        monkeypatch.setattr(_command, "run", lambda command, *rest: asked.append(command[0]) or real(command, *rest))
        found.info()
    assert not [program for program in asked if "tables" in program]


def test_state_of_the_version_before_is_read(tmp_path: pathlib.Path) -> None:
    with site(tmp_path) as found, listening(found.host, 22):
        (found.state / "jit").mkdir(parents=True, mode=0o700)
        found.state.chmod(0o700)
        policy = json.loads((FORMER / "policy.json").read_text())
        book = json.loads((FORMER / "grants.json").read_text())
        now = clock.now()
        book["boot"] = now.boot
        book["open"][0].update(opened=now.wall - 60, until=now.wall + 3000, end=now.since_boot + 3000)
        (found.state / "jit" / "policy.json").write_text(json.dumps({**policy, "backend": "nftables"}))
        (found.state / "jit" / "grants.json").write_text(json.dumps(book))
        assert found.access()["changed"]
        assert found.lock(ports=[{"port": "22", "close_connections": True}])["confirmed"]
        assert found.friend.connects(found.host, 22)
        seen = found.info()
        assert [one["id"] for one in seen["grants"]] == ["request-old-1"]
        assert [(one["id"], one["outcome"]) for one in seen["history"]] == [("request-old-2", "closed")]
        assert not found.grant(id="request-old-1", sources=["10.99.0.2", "fd99::2"])["changed"]
        assert found.grant(state="closed", id="request-old-1")["changed"]
        assert not found.friend.connects(found.host, 22)


# As nft 0.9.0, whose parser has none, and as Linux 4.19, whose kernel has none.
@pytest.mark.parametrize(
    "refusal",
    [
        "/dev/stdin:4:1-9: Error: syntax error, unexpected range",
        "/dev/stdin:2:1-9: Error: Could not process rule: Not supported",
    ],
)
def test_a_host_that_is_too_old_is_refused_and_not_checked_with_what_it_needs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nft").write_text(
        "#!/bin/sh\n"
        'case "$1" in --version) echo "nftables v0.9.0 (Fearless Fosdick)"; exit;; esac\n'
        'case "$*" in *--file*) given=$(cat);; esac\n'
        f'case "$given" in *interval*) echo "{refusal}" >&2; exit 1;; esac\n'
        f'printf "%s\\n" "$given" | exec {commands.find("nft")} "$@"\n'
    )
    (programs / "nft").chmod(0o755)
    usual = _command._ENVIRONMENT["PATH"]
    with site(tmp_path) as found:
        monkeypatch.setitem(_command._ENVIRONMENT, "PATH", f"{programs}:{usual}")
        needs = r"this host has nftables v0\.9\.0 and Linux .*, and just-in-time access and network rules need sets of "
        for check in (True, False):
            with pytest.raises(FirewallError, match=needs):
                found.access(check=check)
        # Without a policy nothing is needed of it.
        assert {entry["status"] for entry in found.info()["coverage"]} == {"checked"}
        monkeypatch.setitem(_command._ENVIRONMENT, "PATH", usual)
        found.lock()
        monkeypatch.setitem(_command._ENVIRONMENT, "PATH", f"{programs}:{usual}")
        for entry in found.info()["coverage"]:
            assert entry["status"] == "not_checked"
            assert "need sets of prefixes, protocols and ranges of ports" in entry["reason"]
        (programs / "nft").write_text("#!/bin/sh\nexit 127\n")
        monkeypatch.setitem(_command._ENVIRONMENT, "PATH", str(tmp_path))
        assert {entry["reason"] for entry in found.info()["coverage"]} == {
            "there is no nft on this host: install nftables."
        }
