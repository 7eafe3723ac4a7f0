# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When and by whom packages were installed, and whether their programs are theirs."""

from __future__ import annotations

import contextlib
import gzip
import os
import pathlib
import sqlite3

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import package_logs, packages

from tests.unit.plugins.module_utils.investigation.roots import Root, budget, links, node, wanted

_APT = """
Start-Date: 2026-11-30  02:55:19
Commandline: apt-get install -y nginx
Requested-By: bob (1000)
Install: nginx:amd64 (1.26.3-3), nginx-common:amd64 (1.26.3-3, automatic)
Upgrade: jq:amd64 (1.7.1-6+deb13u3, 1.7.1-6+deb13u4)
End-Date: 2026-11-30  02:55:30
"""
_DPKG = """2026-11-30 02:55:20 startup archives unpack
2026-11-30 02:55:21 install nginx:amd64 <none> 1.26.3-3
2026-11-30 02:55:22 status half-installed nginx:amd64 1.26.3-3
2026-11-29 10:00:00 remove nginx:amd64 1.22.1-9 <none>
"""


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Root:
    return Root(tmp_path)


def test_a_package_says_when_and_by_whom_it_was_installed(root: Root) -> None:
    root.write("/var/log/apt/history.log", _APT)
    root.write("/var/log/dpkg.log", _DPKG)
    root.write("/usr/sbin/nginx", b"nginx", package="nginx")

    facts = packages.gather(root.host(), wanted("package:nginx"), budget())

    values = node(facts, "package:nginx").facts
    assert [(change["action"], change.get("by"), change["version"]) for change in values["changes"]] == [
        ("installed", "bob", "1.26.3-3"),
        ("removed", None, "1.22.1-9"),
    ]
    assert values["changes"][0]["command"] == "apt-get install -y nginx"
    assert (values["compared"], values["differing"]) == (1, [])
    assert "package nginx 1.26.3-3 was installed by bob" in [event.text for event in facts.events]


_DNF_4 = """
CREATE TABLE trans (id INTEGER PRIMARY KEY, dt_begin INTEGER, user_id INTEGER, cmdline TEXT);
CREATE TABLE trans_item (id INTEGER PRIMARY KEY, trans_id INTEGER, item_id INTEGER, action INTEGER);
CREATE TABLE rpm (item_id INTEGER, name TEXT, epoch INTEGER, version TEXT, release TEXT, arch TEXT);
INSERT INTO trans VALUES (1, 1796000000, 0, 'install nginx'), (2, 1796000900, 4294967295, 'remove nginx');
INSERT INTO trans_item VALUES (1, 1, 7, 1), (2, 1, 8, 1), (3, 2, 7, 8), (4, 2, 7, 11);
INSERT INTO rpm VALUES (7, 'nginx', 0, '1.26.3', '1', 'x86_64'), (8, 'jq', 0, '1.7', '1', 'x86_64');
"""
_DNF_5 = """
CREATE TABLE trans (id INTEGER PRIMARY KEY, dt_begin INTEGER, user_id INTEGER, description TEXT);
CREATE TABLE trans_item (id INTEGER PRIMARY KEY, trans_id INTEGER, item_id INTEGER, action_id INTEGER);
CREATE TABLE pkg_names (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE rpm (item_id INTEGER, name_id INTEGER, epoch INTEGER, version TEXT, release TEXT, arch_id INTEGER);
INSERT INTO trans VALUES (1, 1796000000, 0, 'dnf install nginx'), (2, 1796000900, 4294967295, 'dnf remove nginx');
INSERT INTO trans_item VALUES (1, 1, 7, 1), (3, 2, 7, 5), (4, 2, 7, 7);
INSERT INTO pkg_names VALUES (1, 'nginx');
INSERT INTO rpm VALUES (7, 1, 0, '1.26.3', '1', 1);
"""


@pytest.mark.parametrize(
    ("path", "schema"),
    [("/var/lib/dnf/history.sqlite", _DNF_4), ("/usr/lib/sysimage/libdnf5/transaction_history.sqlite", _DNF_5)],
    ids=["version 4", "version 5"],
)
def test_the_history_of_dnf_says_by_whom(root: Root, path: str, schema: str) -> None:
    database = root.write(path, b"")
    database.unlink()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(schema)

    facts = packages.gather(root.host(), wanted("package:nginx"), budget())

    changes = node(facts, "package:nginx").facts["changes"]
    assert [(change["action"], change.get("by"), change["version"], change["time"]) for change in changes] == [
        ("removed", None, "1.26.3-1", 1796000900.0),
        ("installed", "root", "1.26.3-1", 1796000000.0),
    ]
    assert changes[1]["command"].endswith("install nginx")


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 200, b"no database"])
def test_a_damaged_history_of_dnf_is_named(root: Root, content: bytes) -> None:
    root.write("/var/lib/dnf/history.sqlite", content)
    root.write("/var/lib/dnf/history.sqlite-wal", b"x")
    used = budget()
    packages.gather(root.host(), wanted("package:nginx"), used)
    assert [subject for subject, _reason in used.skipped] == ["/var/lib/dnf/history.sqlite"]


def test_programs_that_are_not_as_packaged_are_named(root: Root) -> None:
    root.write("/usr/sbin/nginx", b"nginx", package="nginx").write_bytes(b"backdoor")

    facts = packages.gather(root.host(), wanted("package:nginx"), budget())

    assert node(facts, "package:nginx").facts["differing"] == ["/usr/sbin/nginx"]
    assert links(facts, "belongs_to") == {("file:/usr/sbin/nginx", "package:nginx")}


def test_rotated_logs_are_read_and_damaged_ones_noted(root: Root) -> None:
    root.write("/var/log/apt/history.log.1.gz", gzip.compress(_APT.encode()))
    root.write("/var/log/apt/history.log.2.gz", b"damaged")
    os.mkfifo(root.path / "var/log/dpkg.log")
    bounded = budget()

    facts = packages.gather(root.host(), wanted("package:nginx"), bounded)

    assert len(node(facts, "package:nginx").facts["changes"]) == 1
    assert sorted(subject for subject, _reason in bounded.skipped) == [
        "/var/log/apt/history.log.2.gz",
        "/var/log/dpkg.log",
    ]


def test_the_logs_of_other_package_managers_are_read() -> None:
    dnf = b"2026-11-30T02:55:19+0000 SUBDEBUG Installed: nginx-core-2:1.26.3-1.fc42.x86_64\n"
    yum = b"Nov 30 02:55:19 Erased: nginx-1.20.1-10.el7.x86_64\n"
    pacman = b"[2026-11-30T02:55:19+0000] [ALPM] upgraded nginx (1.26.2-1 -> 1.26.3-1)\n"
    zypp = b"2026-11-30 02:55:19|install|nginx|1.26.3-1|x86_64|root@host|repo|abc|\n"
    modified = 1_796_100_000.0

    changes = [
        *package_logs.rpm(dnf, modified),
        *package_logs.rpm(yum, modified),
        *package_logs.pacman(pacman),
        *package_logs.zypp(zypp),
    ]

    assert [(change.action, change.package, change.version) for change in changes] == [
        ("installed", "nginx-core", "1.26.3-1.fc42"),
        ("removed", "nginx", "1.20.1-10.el7"),
        ("upgraded", "nginx", "1.26.3-1"),
        ("installed", "nginx", "1.26.3-1"),
    ]
    assert {round(change.time) for change in changes[::2]} == {1_796_007_319}


def test_no_package_costs_nothing(root: Root) -> None:
    bounded = budget()
    root.write("/var/log/apt/history.log", _APT)

    packages.gather(root.host(), wanted("file:/etc/passwd"), bounded)

    assert (bounded.used, bounded.examined) == (0, 0)
