# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft says what is recommended, is read as it was meant, and has a name of its own."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, draft_file
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommend import recommend

from tests.unit.plugins.plugin_utils.app_control.fleets import Builder, packaged, unpackaged
from tests.unit.plugins.plugin_utils.app_control.samples import NGINX_RULE, TOOL, listed, lists, role
from tests.unit.plugins.plugin_utils.store.programs import program

LEARNED = draft_file.Learned(days=30, hosts=2, at=dt.date(2026, 11, 29))
ODD = program("/opt/a: 'b'\\n{{ x }} # c", image="shop:1", package="", sha256="c" * 64)


def test_a_draft_shows_what_to_do_and_why() -> None:
    text = draft_file.text(role(review=[TOOL], left_out=7, undecided=2), LEARNED, ("web1", "web2"))
    assert (
        text
        == f"""\
---
# Programs that some hosts have in common, learned from 2 hosts, observed for up to 30 days.
# Written by bulwark.servers.learn on 2026-11-29. It allows and blocks nothing by itself.
#
# 1. Remove from allow the programs that should not run. Move from review to allow those that should.
# 2. Put the file, and that of its base, into the directory that app_control_allowlists names.
# 3. bulwark.servers.app_allowlist_info says what would be an alert; bulwark.servers.scan then raises it.
role: web
hosts:
- web1
- web2
learned: {{days: 30, hosts: 2, at: 2026-11-29}}
allow:
  - package: nginx
    manager: dpkg
    origin: signed
    reason: 3 programs on 2 hosts.
# Further programs that need a review and are not listed: 7.
# Packages and files that ran on too few days or hosts and are not listed: 2.
review:
  - program: /opt/tool
    reasons:
    - It belongs to no package.
    rule:
      sha256: {"b" * 64}
      path: /opt/tool
"""
    )


def test_a_draft_is_read_as_the_list_that_the_dry_run_tried(tmp_path: pathlib.Path) -> None:
    base = role(
        "base-debian-12", [Rule("x", directory="/opt/app", except_sha256=("e" * 64,))], distribution="debian 12"
    )
    web = role(rules=[NGINX_RULE, Rule("web", sha256="d" * 64, path="/x")], review=[TOOL, ODD])
    names = draft_file.file_names([base, web], lists())
    for each in (base, web):
        (tmp_path / names[each.name]).write_text(draft_file.text(each, LEARNED, each.hosts))
    read = {each.name: each for each in allowlist_files.load(tmp_path).roles}
    assert read == {each.name: draft_file.as_list(each, names[each.name], LEARNED, each.hosts) for each in (base, web)}
    assert read["web"].hosts == ("web1", "web2")
    assert read["web"].review[1].program == f"shop:1: {ODD.path}"


def test_files_have_names_of_their_own() -> None:
    names = ["web", "../../etc/passwd", "exceptions", "a/b", "a b", "é", "web.new"]
    drafts = lists(listed("kept", file="renamed.yml"), listed("other", file="web.yml"))
    assert draft_file.file_names([role(name) for name in [*names, "kept"]], drafts) == {
        "web": "web-2.yml",
        "../../etc/passwd": "etc-passwd.yml",
        "exceptions": "exceptions-2.yml",
        "a/b": "a-b.yml",
        "a b": "a-b-2.yml",
        "é": "role.yml",
        "web.new": "web-new.yml",
        "kept": "renamed.yml",
        "other": "web.yml",
    }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("holders", [1, 6])
@pytest.mark.parametrize(
    "hostile",
    [
        packaged("x", manager="evil", sha256=digest("x"), verification="no_digest"),
        packaged("x", manager="", sha256=digest("x"), verification="no_digest"),
        packaged(" ", "/usr/bin/y", sha256=digest("x"), verification="no_digest"),
        packaged("basea", "/usr/sbin/../x", sha256=digest("x"), verification="modified"),
        unpackaged("/opt/shop/../../tmp/x", digest("x")),
        unpackaged("/tmp/a/../x", digest("x")),
        unpackaged("(null)/x", digest("x")),
        unpackaged("//x", digest("x")),
        unpackaged("/x/", digest("x")),
        unpackaged("/tmp/x ", digest("x")),
        unpackaged(" ", digest("x")),
        unpackaged("/usr/bin/" + "1" * 2_000, digest("x")),
        unpackaged("/bin/sh", digest("x"), image="?"),
        unpackaged("/bin/sh", digest("x"), image=" "),
        unpackaged("bin/sh", digest("x"), image="x:1"),
    ],
)
def test_no_host_spoils_the_file_for_all(tmp_path: pathlib.Path, hostile: Program, holders: int) -> None:
    builder = Builder()
    for number in range(6):
        builder.host(f"web{number}", *[hostile][: int(number < holders)])
    fleet = builder.fleet()
    fleet = dataclasses.replace(fleet, programs=[each._replace(sha256=digest(each.sha256)) for each in fleet.programs])
    (base,) = (each for each in recommend(fleet, Options(), {}, []).roles if not each.problem)
    (tmp_path / "base.yml").write_text(draft_file.text(base, LEARNED, ()))
    (read,) = allowlist_files.load(tmp_path).roles
    assert {each.rule._replace(role="") for each in base.rules} == {each._replace(role="") for each in read.allow}
    assert len(read.allow) == 8
    assert not read.review


def test_the_name_of_a_file_is_never_too_long() -> None:
    names = draft_file.file_names([role("a" * 500), role("a" * 501)], lists())
    assert sorted(map(len, names.values())) == [104, 106]
