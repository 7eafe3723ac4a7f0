# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host listens on, who gets there, and flow records that are read beside what the kernel has counted."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import socket
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import formats, line_formats
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import imports
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import exposed

from tests.integration.network_hardening import _network as network_rules
from tests.integration.network_hardening._traffic import Site, counts, scope, serving, site, visit

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("traffic_info"),
]

NOTHING = "No recorder runs on this host"


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _listening(site: Site) -> dict[tuple[int, str, str], dict[str, t.Any]]:
    return {(one["port"], one["protocol"], one["address"]): one for one in site.info()["listening"]}


def test_ports_that_are_listened_on_and_by_whom(site: Site) -> None:
    with (
        site.host.listen(22),
        site.host.listen(22, 6),
        site.host.listen(500, 4, socket.SOCK_DGRAM),
        site.host.listen(45000, 6, socket.SOCK_DGRAM),
        site.host.listen(501, 4, socket.SOCK_DGRAM) as connected,
    ):
        connected.connect((site.friend.address[4], 1))
        with site.host.entered():
            everywhere = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
            inside = socket.create_server(("127.0.0.1", 5432))
        with everywhere, inside:
            found = _listening(site)
    four, six = site.host.address[4], site.host.address[6]
    assert {key: (one["reach"], one["ephemeral"]) for key, one in found.items()} == {
        (22, "tcp", four): ("open", False),
        (22, "tcp", six): ("open", False),
        (500, "udp", four): ("open", False),
        (45000, "udp", six): ("open", True),
        (8080, "tcp", "::"): ("open", False),
        (5432, "tcp", "127.0.0.1"): ("local", False),
    }
    process = found[22, "tcp", four]["process"]
    assert process["pid"] == os.getpid()
    assert process["executable"] == os.path.realpath("/proc/self/exe")
    assert set(site.info()["addresses"]) >= {four, six}
    assert "127.0.0.1" not in site.info()["addresses"]


@pytest.mark.parametrize(
    ("rules", "reach"),
    [
        (["policy drop"], "limited"),
        (["policy drop", "tcp dport 22 accept"], "open"),
        (["policy drop", "tcp dport 22 ip saddr 10.0.0.0/8 accept"], "limited"),
        (["policy drop", "tcp dport 22 ip saddr != { 192.0.2.0/24, 5.188.0.0/16 } accept"], "open"),
        (["policy accept", "tcp dport 22 ip saddr != 10.0.0.0/8 drop"], "limited"),
        (["policy drop", "tcp dport 22 meta mark 7 accept"], "unknown"),
    ],
)
def test_whether_the_firewalls_let_everybody_in(site: Site, rules: list[str], reach: str) -> None:
    policy, *others = rules
    site.record()
    site.nft("add table inet other")
    site.nft(f"add chain inet other input {{ type filter hook input priority 0; {policy}; }}")
    for rule in others:
        site.nft(f"add rule inet other input {rule}")
    with site.host.listen(22):
        assert _listening(site)[22, "tcp", site.host.address[4]]["reach"] == reach


def test_ports_that_our_own_tables_keep_closed_are_not_open_to_everybody(site: Site, tmp_path: pathlib.Path) -> None:
    ours = network_rules.Site(tmp_path, [site.host, site.friend, site.stranger])
    site.record()

    def reach() -> dict[int, str]:
        return {key[0]: one["reach"] for key, one in _listening(site).items()}

    with site.host.listen(22), site.host.listen(23), site.host.listen(24):
        ours.set(mode="audit", rules=[{"port": "22"}])
        assert reach() == {22: "open", 23: "open", 24: "open"}, "nothing is denied yet"
        ours.enforce(rules=[{"port": "22"}])
        assert reach() == {22: "limited", 23: "open", 24: "open"}
        ours.jit.lock(ports=[{"port": "23"}])
        assert reach() == {22: "limited", 23: "limited", 24: "open"}


def _zeek(path: pathlib.Path, site: Site, number: int, begun: float, port: int = 22) -> None:
    lines = [
        json.dumps(
            {
                "ts": begun + count * 60,
                "id.orig_h": "203.0.113.9",
                "id.orig_p": 40000 + count,
                "id.resp_h": site.host.address[4],
                "id.resp_p": port,
                "proto": "tcp",
                "conn_state": "SF",
                "duration": 1.5,
                "orig_bytes": 100,
                "resp_bytes": 900,
                "orig_pkts": 5,
                "resp_pkts": 5,
                "orig_ip_bytes": 300,
                "resp_ip_bytes": 1100,
            }
        )
        for count in range(number)
    ]
    path.write_text("\n".join(lines) + "\n")


def _sum(result: t.Mapping[str, t.Any]) -> tuple[int, ...]:
    assert {one["source"] for one in result["traffic"]} == {"203.0.113.9"}
    return tuple(sum(one[name] for one in result["traffic"]) for name in ("count", "answered", "refused"))


def test_flow_records_count_once_although_they_grow_are_renamed_and_packed(site: Site, tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "zeek"
    directory.mkdir()
    begun = time.time() - 20 * 86400
    wanted = [{"path": str(directory), "format": "zeek"}]

    def seen() -> tuple[int, ...]:
        return _sum(site.info(imports=wanted))

    _zeek(directory / "conn.log", site, 40, begun)
    assert seen() == (40, 40, 0)
    assert seen() == (40, 40, 0)
    _zeek(directory / "conn.log", site, 70, begun)
    assert seen() == (70, 70, 0)
    (directory / "conn.log").rename(directory / "conn.1.log")
    assert seen() == (70, 70, 0)
    with gzip.open(directory / "conn.2.log.gz", "wb") as packed:
        packed.write((directory / "conn.1.log").read_bytes())
    (directory / "conn.1.log").unlink()
    assert seen() == (70, 70, 0)
    _zeek(directory / "conn.log", site, 5, begun + 5 * 86400)
    assert seen() == (75, 75, 0)
    # What was read is kept where the file is gone.
    (directory / "conn.2.log.gz").unlink()
    found = site.info(imports=wanted)
    assert _sum(found) == (75, 75, 0)
    (first, second) = found["traffic"]
    assert {first["origin"], second["origin"]} == {"import"}
    assert first["bytes"] + second["bytes"] == 75 * 1000
    assert sum(map(len, (first["days"], second["days"]))) in (2, 3, 4)
    assert scope(found, "traffic")["reason"].startswith(NOTHING)
    assert scope(found, "imports")["status"] == "checked"


def test_what_the_recorder_has_counted_is_left_out_of_flow_records(site: Site, tmp_path: pathlib.Path) -> None:
    site.record()
    now = time.time()
    _zeek(tmp_path / "before.log", site, 3, now - 5 * 86400)
    _zeek(tmp_path / "after.log", site, 4, now + 5)
    _zeek(tmp_path / "public.log", site, 5, now + 5, port=443)
    with serving(site.host, 22):
        visit(site.friend, site.host, 22)
        wanted = [{"path": str(tmp_path / f"{name}.log"), "format": "zeek"} for name in ("before", "after", "public")]
        found = site.info(imports=wanted)
    assert counts(found) == {
        ("203.0.113.9", 22, "tcp", "in"): (3, 3, 0),
        ("203.0.113.9", 443, "tcp", "in"): (5, 5, 0),
        (site.friend.address[4], 22, "tcp", "in"): (1, 1, 0),
    }


def test_files_that_can_t_be_read_are_told(site: Site, tmp_path: pathlib.Path) -> None:
    (tmp_path / "damaged.log").write_text("{\n" * 3)
    (tmp_path / "packed.log").write_bytes(gzip.compress(b"x" * 100_000)[:-20])
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "link").symlink_to("/etc/shadow")
    os.mkfifo(tmp_path / "pipe")
    names = ("damaged.log", "packed.log", "pipe", "directory", "missing.log")
    wanted = [{"path": str(tmp_path / name), "format": "zeek"} for name in names]
    found = site.info(imports=wanted)
    said = {pathlib.Path(entry["subject"]).name: entry["reason"] for entry in scope(found, "imports")["skipped"]}
    assert said == {
        "damaged.log": "3 of its 3 lines are not understood; line 1: this is not JSON",
        "packed.log": "it is packed, and damaged",
        "pipe": "it is not a regular file",
        "missing.log": "No such file or directory",
    }


@pytest.mark.parametrize("form", formats.FORMS)
def test_a_file_that_gives_no_flow_is_never_checked(site: Site, tmp_path: pathlib.Path, form: str) -> None:
    contents = {
        "empty": "",
        "blank": "\n\n",
        "nonsense": "hello\nworld\n",
        "document": json.dumps({"records": [{"category": "SomethingElse", "entries": [1, 2]}]}),
        "zeek": "#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n",
        "icmp": "icmp 1 29 src=192.0.2.10 dst=192.0.2.53 type=8 code=0 id=1 src=192.0.2.53 dst=192.0.2.10 type=0\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    wanted = [{"path": str(tmp_path / name), "format": form} for name in contents]
    for _time in range(2):  # also when it is known from before
        entry = scope(site.info(imports=wanted), "imports")
        assert (entry["status"], entry["examined"]) == ("not_checked", 0)
        assert {pathlib.Path(one["subject"]).name for one in entry["skipped"]} == set(contents)
    begun = int(time.time()) - 86400
    (tmp_path / "good").write_text(
        f"2 1 eni-1 203.0.113.9 {site.host.address[4]} 40000 22 6 20 4249 {begun} {begun + 60} ACCEPT OK\nhello\n"
    )
    entry = scope(site.info(imports=[*wanted, {"path": str(tmp_path / "good"), "format": "aws_vpc"}]), "imports")
    assert (entry["status"], entry["examined"]) == ("partial", 1)
    (reason,) = [one["reason"] for one in entry["skipped"] if one["subject"].endswith("good")]
    assert reason.startswith("1 of its 2 lines are not understood; line 2: ")


def test_what_an_earlier_version_took_from_a_file_is_read_again(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "conntrack.txt"
    ends = f"src=203.0.113.9 dst={site.host.address[4]} sport=51000 dport=22"
    back = f"src={site.host.address[4]} dst=203.0.113.9 sport=22 dport=51000"
    file.write_text(f"tcp      6 431999 ESTABLISHED {ends} {back} [ASSURED] mark=0 use=1\n")
    wanted = [{"path": str(file), "format": "conntrack"}]
    with monkeypatch.context() as earlier:
        earlier.setattr(imports, "_READER", "1")
        earlier.setattr(line_formats, "_both", len)
        assert site.info(imports=wanted)["traffic"][0]["bytes"] == 0
    (entry,) = site.info(imports=wanted)["traffic"]
    assert (entry["count"], entry["bytes"], entry["bytes_known_count"]) == (1, None, 0)


def test_flow_records_of_other_hosts_are_told(site: Site, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "flows.log"
    begun = int(time.time()) - 86400
    ends = f"203.0.113.9 172.31.16.21 40000 22 6 20 4249 {begun} {begun + 60}"
    file.write_text(f"2 123456789010 eni-1 {ends} ACCEPT OK\n")
    wanted = [{"path": str(file), "format": "aws_vpc"}]
    (said,) = scope(site.info(imports=wanted), "imports")["skipped"]
    assert "to the addresses that it has there" in said["reason"]
    found = site.info(imports=wanted, local=["172.31.16.21"])
    assert _sum(found) == (1, 0, 0)
    assert scope(found, "imports")["status"] == "checked"


def test_relative_paths_and_wrong_addresses_are_refused(site: Site) -> None:
    with pytest.raises(UsageError, match=r"imports: 'conn\.log' is relative"):
        site.info(imports=[{"path": "conn.log", "format": "zeek"}])
    with pytest.raises(UsageError, match="local: 'here' is not an address or prefix"):
        site.info(local=["here"])


def test_a_host_without_a_recorder_says_so_and_is_left_as_it_was(site: Site) -> None:
    with site.host.listen(22):
        found = site.info()
    assert scope(found, "traffic")["status"] == "not_checked"
    assert NOTHING in scope(found, "traffic")["reason"]
    assert scope(found, "listening")["status"] == "checked"
    assert len(found["listening"]) == 1
    assert (found["recorder"], found["traffic_count"]) == (None, 0)
    assert not site.state.exists()
    assert site.tables() == []


def test_without_root_it_says_of_nothing_that_it_is_not_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.record()
    with serving(site.host, 22):
        visit(site.friend, site.host, 22)
        assert site.info()["traffic_count"] == 1
        # Who runs this test is root and can't be anybody else in between.
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        found = site.info()
        monkeypatch.undo()
    assert (found["recorder"], found["since"], found["traffic_count"]) == (None, None, None)
    reason = scope(found, "traffic")["reason"]
    assert "only root can look" in reason
    assert exposed.unseen(found, 14, time.time()) == reason
