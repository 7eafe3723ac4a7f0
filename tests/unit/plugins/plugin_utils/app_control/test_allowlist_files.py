# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allowlist files become the allowlist of a host, and what is wrong with an entry is named."""

from __future__ import annotations

import datetime as dt
import pathlib
import textwrap

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Exemption, Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, cached_lists, entries
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

DIGEST = "a" * 64

WEB = f"""\
role: web
hosts: [web1, web2]
learned: {{days: 30, hosts: 12, at: 2026-11-29}}
allow:
  - package: nginx
    manager: dpkg
    origin: signed
    reason: The server itself
  - directory: /opt/app/bin/
    except_sha256: [{DIGEST}]
  - sha256: {DIGEST}
    path: /usr/local/bin/tool
  - {{package: busybox, manager: dpkg, image: shop, allow_unverified: true}}
review:
  - program: /usr/bin/gdb
    reasons: [Debuggers run other programs]
    rule: {{package: gdb, manager: dpkg}}
"""
BASE = "role: base-debian-12\ndistribution: debian 12\nallow: [{package: coreutils, manager: dpkg}]\n"


def write(directory: pathlib.Path, **files: str) -> allowlist_files.Lists:
    for name, text in files.items():
        (directory / f"{name.replace('__', '.')}.yml").write_text(textwrap.dedent(text))
    return allowlist_files.load(directory)


def compiled(lists: allowlist_files.Lists, host: str, *roles: str, distribution: str = "debian 12") -> Allowlist:
    allowlist = allowlist_files.compiled(lists, host, roles, distribution)
    assert allowlist is not None
    return allowlist


def test_host_has_its_roles_and_the_base_of_its_distribution(tmp_path: pathlib.Path) -> None:
    lists = write(tmp_path, web=WEB, base=BASE, other="role: db\nallow: [{directory: /opt/db}]\n")
    allowlist = compiled(lists, "web1")
    assert allowlist.roles == ("base-debian-12", "web")
    assert allowlist.rules == (
        Rule("base-debian-12", package="coreutils", manager="dpkg"),
        Rule("web", package="nginx", manager="dpkg", origin="signed"),
        Rule("web", directory="/opt/app/bin", except_sha256=(DIGEST,)),
        Rule("web", sha256=DIGEST, path="/usr/local/bin/tool"),
        Rule("web", package="busybox", manager="dpkg", image="shop", allow_unverified=True),
    )
    assert compiled(lists, "web1", "db", distribution="rocky 9").roles == ("db", "web")
    assert lists.roles[2].learned == {"days": 30, "hosts": 12, "at": dt.date(2026, 11, 29)}
    assert lists.roles[2].review[0].rule == Rule("web", package="gdb", manager="dpkg")


def test_host_that_no_file_is_for_has_no_allowlist(tmp_path: pathlib.Path) -> None:
    lists = write(tmp_path, web=WEB, base=BASE)
    assert allowlist_files.compiled(lists, "db1", (), "debian 12") is None
    assert compiled(lists, "db1", "base-debian-12").roles == ("base-debian-12",)


def test_proposals_and_hidden_files_count_for_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "._web.yml").write_bytes(b"\x00\x05")
    (tmp_path / "notes.txt").write_text("x")
    lists = write(tmp_path, web=WEB, web__new=WEB + "surplus: 1\n")
    assert [each.file for each in lists.roles] == ["web.yml"]


def test_exceptions_are_for_all_hosts_or_those_that_they_name(tmp_path: pathlib.Path) -> None:
    exceptions = """\
        exceptions:
          - {program: /opt/tool, reason: A test, by: alice, until: 2026-12-31, added: 2026-11-29}
          - {program: /srv/*, hosts: [web2], user: ci, reason: Builds, by: bob, until: 2026-12-31T12:00:00}
        """
    lists = write(tmp_path, web=WEB, exceptions=exceptions)
    first = Exemption("/opt/tool", "A test", "alice", until=dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp())
    second = Exemption(
        "/srv/*", "Builds", "bob", user="ci", until=dt.datetime(2026, 12, 31, 12, tzinfo=dt.UTC).timestamp()
    )
    for host, exemptions in (("web1", (first,)), ("web2", (first, second))):
        assert compiled(lists, host).exemptions == exemptions


def test_rule_is_written_as_it_is_read() -> None:
    for rule in (
        Rule("web", package="nginx", manager="rpm", origin="350d275d", allow_unverified=True),
        Rule("web", directory="/opt/a b", except_sha256=(DIGEST, "b" * 64)),
        Rule("web", package="nginx", manager="dpkg", except_sha256=(DIGEST,)),
        Rule("web", sha256=DIGEST, path="/x", image="shop"),
    ):
        assert entries.rule(entries.rule_entry(rule, "Because"), "web", "here") == rule


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{package: nginx}", "'manager' is missing"),
        ("{package: nginx, manager: apk}", "not one of dpkg, rpm"),
        ("{package: nginx, directory: /opt}", "exactly one of package, directory and sha256"),
        ("{reason: x}", "exactly one of"),
        ("nginx", "a mapping is needed"),
        ("{directory: opt}", "not an absolute path"),
        ("{directory: /opt/../tmp}", "not an absolute path"),
        ("{directory: //}", "not an absolute path"),
        ("{directory: /}", "would allow every program"),
        ("{sha256: abc}", "64 hexadecimal digits"),
        ("{sha256: 12}", "put it in quotes"),
        ("{directory: /opt, image: '?'}", "whose image is unknown"),
        ("{directory: /opt, except_sha256: [abc]}", "except_sha256 'abc' is not a digest"),
        ("{sha256: abc, except_sha256: [abc]}", "'except_sha256' does not belong"),
        ("{directory: /opt, path: /x}", "'path' does not belong"),
        ("{directroy: /opt}", "did you mean directory?"),
        ("{package: nginx, manager: dpkg, allow_unverified: maybe}", "true or false"),
    ],
)
def test_wrong_rule_is_named(tmp_path: pathlib.Path, entry: str, problem: str) -> None:
    with pytest.raises(ContentError, match=rf"^web\.yml: allow: entry 2: .*{problem}"):
        write(tmp_path, web=f"role: web\nallow:\n  - directory: /opt/x\n  - {entry}\n")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{program: '*', reason: x, by: y}", "would allow every program"),
        ("{program: '/**', reason: x, by: y}", "would allow every program"),
        ("{program: /x, by: y}", "'reason' is missing"),
        ("{program: /x, reason: y}", "'by' is missing"),
        ("{program: /x, reason: y, by: z, until: tomorrow}", "not a date"),
        ("{program: /x, reason: y, by: z, hosts: web1}", "hosts is a list"),
        ("{program: /x, reason: y, by: z, hots: [web1]}", "did you mean hosts?"),
    ],
)
def test_wrong_exception_is_named(tmp_path: pathlib.Path, entry: str, problem: str) -> None:
    with pytest.raises(ContentError, match=rf"^exceptions\.yml: entry 1: .*{problem}"):
        write(tmp_path, exceptions=f"exceptions: [{entry}]\n")


def test_every_program_of_one_account_can_be_exempt(tmp_path: pathlib.Path) -> None:
    lists = write(tmp_path, exceptions="exceptions: [{program: '*', user: ci, reason: x, by: y}]\n")
    assert lists.exemptions[0].exemption.user == "ci"


def test_wrong_files_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ContentError, match=r"^allowlists: .*missing cannot be read"):
        allowlist_files.load(tmp_path / "missing")
    with pytest.raises(ContentError, match=r"^b\.yml: role: a\.yml is for 'web', too"):
        write(tmp_path, a="role: web\n", b="role: web\n")
    (tmp_path / "b.yml").write_text("role: [\n")
    with pytest.raises(ContentError, match=r"b\.yml cannot be read: "):
        allowlist_files.load(tmp_path)
    (tmp_path / "b.yml").unlink()
    with pytest.raises(ContentError, match=r"^roles: there is no allowlist 'wbe' in .*; there are web"):
        allowlist_files.packed_data(allowlist_files.load(tmp_path), "h", ("wbe",))


def test_lists_of_a_scan_are_parsed_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    directory = tmp_path / "lists"
    directory.mkdir()
    exceptions = "exceptions: [{program: /x, hosts: [web1], reason: y, by: z, until: 2026-12-31}]\n"
    lists = write(directory, web=WEB, base=BASE, exceptions=exceptions)
    wanted = allowlist_files.packed_data(lists, "web1", ())
    for _time in range(2):
        assert allowlist_files.packed_data(cached_lists.load(str(directory)), "web1", ()) == wanted
        monkeypatch.setattr(allowlist_files, "parse", None)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (directory / "web.yml").write_text("role: web\nallow: [{directory: opt}]\n")
    for _time in range(2):
        with pytest.raises(ContentError, match=r"^web\.yml: allow: entry 1: "):
            cached_lists.load(str(directory))


def test_name_of_a_program_is_no_pattern_when_it_is_approved() -> None:
    assert entries.literal("/tmp/*") == "/tmp/[*]"
