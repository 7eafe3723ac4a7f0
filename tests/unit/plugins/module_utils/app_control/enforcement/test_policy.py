# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy allows what the allowlist allows, trusts nothing that is in doubt, and names what it leaves out."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    MODIFIED,
    NO_DIGEST,
    PROGRAM,
    SCRIPT,
    UNPACKAGED,
    VERIFIED,
    Program,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import (
    EXECUTABLE,
    LIBRARY,
    Connection,
    Essential,
    Facts,
    FileSystem,
    HostFile,
    Options,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import (
    Policy,
    compile_policy,
    database_size,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.refusals import (
    blocked,
    refusals,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.rules import ROOT_DIRECTORIES
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

A, B, C = "a" * 64, "b" * 64, "c" * 64
SSH = ("dpkg", "openssh-server")
OPTIONS = Options("enforce", minimum_days=1)


def _file(path: str, package: str = "tool", **facts: t.Any) -> HostFile:
    given: dict[str, t.Any] = {"kind": EXECUTABLE, "verification": VERIFIED, "manager": "dpkg", "version": "1", **facts}
    return HostFile(path, 10, given.pop("sha256", A), package=package, **given)


SSHD = _file("/usr/sbin/sshd", "openssh-server")
FACTS = Facts(
    files=(SSHD,),
    named={},
    scripts=(),
    depends={SSH: {("dpkg", "libc6")}, ("dpkg", "tool"): set(), ("dpkg", "libc6"): set()},
    essential_packages={SSH: "sign-in over SSH"},
    essentials=(),
    directories={},
    interpreters={"shell": ("/usr/bin/dash",), "python": ("/usr/bin/python3.13",)},
    readers=("/usr/bin/cp",),
    pythons=("/usr/bin/python3.13",),
    loaders=("/usr/lib/ld-linux.so.2",),
    users={"ann": 1000},
    records=(),
    observed_days=20,
    file_systems=(FileSystem("/", "ext4"), FileSystem("/run", "tmpfs")),
    version="1.3.4",
    connection=Connection(uids=(0,)),
    now=1000.0,
)


def _compile(
    *rules: Rule, exemptions: t.Sequence[Exemption] = (), files: t.Sequence[HostFile] = (), **facts: t.Any
) -> Policy:
    given = FACTS._replace(files=(SSHD, *files), **facts)
    return compile_policy(Allowlist(("base",), rules, tuple(exemptions)), given, OPTIONS)


def _paths(policy: Policy) -> set[str]:
    return {entry.path for entry in policy.trusted} - {"/usr/sbin/sshd"}


def _record(path: str, kind: str = PROGRAM, **facts: t.Any) -> Record:
    users = facts.pop("users", ["root"])
    genuine = facts.pop("genuine", None)
    return Record(Program(kind, path, **facts), 1.0, 2.0, [1], users=users, genuine=genuine)


TOOL = Rule("base", package="tool", manager="dpkg")


@pytest.mark.parametrize(
    ("rule", "facts", "is_trusted"),
    [
        (TOOL, {}, True),
        (TOOL._replace(package="other"), {}, False),
        (TOOL._replace(manager="rpm"), {}, False),
        (TOOL._replace(image="nginx"), {}, False),
        (TOOL, {"verification": MODIFIED}, False),
        (TOOL, {"verification": NO_DIGEST}, False),
        (TOOL._replace(allow_unverified=True), {"verification": NO_DIGEST}, True),
        (TOOL._replace(allow_unverified=True), {"verification": MODIFIED}, False),
        (TOOL._replace(except_sha256=(A,)), {}, False),
        (TOOL._replace(origin="signed"), {}, False),
        (TOOL._replace(origin="signed"), {"origin": "signed"}, True),
        (TOOL._replace(package="other"), {"kind": LIBRARY}, True),
        (TOOL._replace(package="other"), {"kind": LIBRARY, "verification": MODIFIED}, False),
    ],
)
def test_packages_are_trusted_as_far_as_they_are_as_they_say(
    rule: Rule, facts: dict[str, t.Any], is_trusted: bool
) -> None:
    assert _paths(_compile(rule, files=[_file("/usr/bin/tool", **facts)])) == (
        {"/usr/bin/tool"} if is_trusted else set()
    )


def test_what_an_allowed_package_depends_on_is_trusted_too() -> None:
    depends = {**FACTS.depends, ("dpkg", "tool"): {("dpkg", "b")}, ("dpkg", "b"): {("dpkg", "c")}, ("dpkg", "c"): set()}
    policy = _compile(TOOL, files=[_file("/usr/bin/c", "c"), _file("/usr/bin/d", "d")], depends=depends)
    assert _paths(policy) == {"/usr/bin/c"}


def test_edited_digests_of_a_package_make_nothing_trusted() -> None:
    genuine = Program(PROGRAM, "/usr/bin/tool", sha256=B, manager="dpkg", package="tool", version="1")
    record = _record("/usr/bin/tool", sha256=A, verification=VERIFIED, genuine=genuine)
    files = [_file("/usr/bin/tool"), _file("/usr/bin/tool2")]
    assert _paths(_compile(TOOL, files=files, records=(record,))) == {"/usr/bin/tool2"}


def test_contents_become_trust_lines_or_rules() -> None:
    named = {"/opt/x": _file("/opt/x", "", sha256=B), "/opt/y": _file("/opt/y", "", sha256=C)}
    policy = _compile(
        Rule("web", sha256=B, path="/opt/x"), Rule("web", sha256=B, path="/opt/y"), Rule("web", sha256=C), named=named
    )
    assert _paths(policy) == {"/opt/x"}
    assert f"allow perm=any all : path=/opt/y sha256hash={B}" in policy.rules
    where = ",".join(ROOT_DIRECTORIES)
    assert f"allow perm=execute all : dir={where} sha256hash={C}" in policy.rules
    assert f"allow perm=open all : dir={where} ftype=%bulwark_code sha256hash={C}" in policy.rules
    assert not {"/tmp/", "/var/tmp/", "/home/", "/dev/shm/", "/run/"} & set(ROOT_DIRECTORIES)


def test_files_that_others_can_write_are_not_trusted_by_their_content() -> None:
    theirs = _file("/home/ann/x", "", sha256=C, writers=("ann",))
    policy = _compile(
        Rule("web", sha256=C, path="/home/ann/x"),
        Rule("web", sha256=C),
        exemptions=[Exemption("/home/ann/x", "", "me", sha256=C), Exemption("/home/ann/x", "", "me", C, user="ann")],
        named={"/home/ann/x": theirs},
    )
    assert _paths(policy) == set()
    assert not [rule for rule in policy.rules if " : path=" in rule]
    assert [(each.what, each.why.partition(" can ")[0]) for each in policy.unexpressed][:-1] == [
        ("the sha256 rule for /home/ann/x of web", "ann"),
        (f"the sha256 rule for {C} of web", "outside of directories of root's, whoever"),
        ("the exception for /home/ann/x", "ann"),
        ("the exception for /home/ann/x", "ann"),
    ]
    record = _record("/home/bob/x", sha256=C, users=["ann"])
    assert [each.path for each in blocked(policy, [record], FACTS.users)] == ["/home/bob/x"]


def test_directories_count_while_root_alone_can_write_there() -> None:
    rules = [Rule("web", directory=path) for path in ("/opt/app", "/srv/up", "/opt/a b", "/opt/gone")]
    policy = _compile(*rules, directories={"/opt/app": (), "/srv/up": ("www-data",), "/opt/a b": ()})
    assert [rule for rule in policy.rules if " : dir=/opt" in rule] == ["allow perm=any all : dir=/opt/app/"]
    assert [(each.what, each.why) for each in policy.unexpressed][:3] == [
        ("the directory rule for /srv/up of web", "www-data can write there"),
        ("the directory rule for /opt/a b of web", "no rule of fapolicyd can name such a path"),
        ("the directory rule for /opt/gone of web", "nobody knows who can write there"),
    ]


def test_exceptions() -> None:
    own = _file("/opt/own", "", sha256=B)
    theirs = _file("/home/ann/x", "", sha256=C, writers=("ann",))
    exemptions = [
        Exemption("/opt/own", "", "me", sha256=B),
        Exemption("/opt/own", "", "me", user="ann"),
        Exemption("/home/ann/x", "", "me"),
        Exemption("/home/ann/x", "", "me", sha256=C, user="ann"),
        Exemption("/opt/old", "", "me", sha256=A, until=1000.0),
        Exemption("/opt/new", "", "me", sha256=A, until=1001.0),
        Exemption("/opt/*", "", "me"),
        Exemption("nginx: /bin/x", "", "me"),
        Exemption("/opt/own", "", "me", user="gone"),
    ]
    policy = _compile(exemptions=exemptions, named={"/opt/own": own, "/home/ann/x": theirs})
    assert _paths(policy) == {"/opt/own"}
    rules = [rule for rule in policy.rules if " : path=" in rule]
    assert rules == [
        "allow perm=any auid=1000 : path=/opt/own",
        "allow perm=any auid=-1 uid=1000 : path=/opt/own",
        f"allow perm=any all : path=/opt/new sha256hash={A}",
    ]
    assert [each.why for each in policy.unexpressed][:-1] == [
        "it names no content, and ann can write it",
        "ann can write it, and change it without fapolicyd noticing",
        "it has ended",
        "fapolicyd has no patterns",
        "fapolicyd does not watch containers",
        "there is no account gone",
    ]


def test_leases_by_which_accounts_make_everybody_wait_are_named() -> None:
    assert any("fs.leases-enable" in each.why for each in _compile(has_leases=True).unexpressed)
    assert not any("fs.leases-enable" in each.why for each in _compile().unexpressed)


def test_hostile_names_make_no_lines_of_their_own() -> None:
    evil = "/opt/x\nallow perm=any all : all"
    assert not any("\n" in rule for rule in _compile(Rule("web", sha256=A, path="/opt/x\\nallow")).rules)
    policy = _compile(
        TOOL, files=[_file(evil), _file("/usr/bin/a b")], interpreters={"shell": ("/opt/a b/sh", "/bin/sh")}
    )
    assert _paths(policy) == {"/usr/bin/a b"}
    assert "%bulwark_interpreters=/bin/sh" in policy.rules
    assert any("x\n" in each.what for each in policy.unexpressed)
    assert _paths(_compile(TOOL, files=[_file("/usr/bin/a b")], version="1.2")) == set()


def test_what_a_version_lacks_is_named() -> None:
    assert [each.what for each in _compile(version="1.2").unexpressed][:3] == ["fapolicyd 1.2"] * 3
    assert not any("fapolicyd 1" in each.what for each in _compile().unexpressed)


def test_every_denial_is_recorded_and_comes_after_what_is_trusted() -> None:
    rules = [rule for rule in _compile().rules if not rule.startswith("%")]
    assert rules[0] == "allow perm=any all : trust=1"
    denials = [rule for rule in rules if rule.startswith("deny")]
    assert denials
    assert all(rule.startswith("deny_audit ") for rule in denials)
    names = {rule.partition("=")[0] for rule in _compile().rules if rule.startswith("%")}
    assert {word.rpartition("=")[2] for rule in rules for word in rule.split() if "%" in word} <= names


def test_connection_has_a_rule_for_modules_that_come_as_files() -> None:
    wanted = "allow perm=open uid=1000 exe=%bulwark_pythons : dir=/home/ann/.ansible/tmp/"
    assert wanted in _compile(connection=Connection("/home/ann/.ansible/tmp", (0, 1000))).rules
    assert not any("ansible" in rule for rule in _compile(connection=Connection("", (0, 1000))).rules)


def test_accounts_of_earlier_deployments_go_on_to_come_in_whoever_deploys() -> None:
    ann, bob = Connection("/home/ann/.ansible/tmp", (0, 1000)), Connection("/home/bob/.ansible/tmp", (0, 1001))
    gone = Connection("/root/.ansible/tmp", (0,))
    rules = _compile(connection=bob, earlier=(ann, gone)).rules
    assert "allow perm=open uid=1000 exe=%bulwark_pythons : dir=/home/ann/.ansible/tmp/" in rules
    assert "allow perm=open uid=1001 exe=%bulwark_pythons : dir=/home/bob/.ansible/tmp/" in rules
    assert _compile(connection=ann, earlier=(bob,)).rules == rules


def test_settings() -> None:
    settings = _compile().settings
    assert (settings["permissive"], settings["trust"], settings["integrity"]) == ("0", "file", "sha256")
    assert int(settings["q_size"]) > 4000
    assert {"ext4", "tmpfs", "xfs"} <= set(settings["watch_fs"].split(","))
    assert len("watch_fs = " + settings["watch_fs"]) < 159
    assert settings["allow_filesystem_mark"] == "0"
    assert "allow_filesystem_mark" not in _compile(version="1.1.4").settings, "the daemon does not start with it"
    given = compile_policy(Allowlist((), (), ()), FACTS, Options("rehearse", ("ext3",))).settings
    assert (given["permissive"], given["watch_fs"]) == ("1", "ext3")
    assert database_size([Trusted("/usr/bin/%090d" % number, 1, A) for number in range(60_000)]) > 50


def test_rpm_host_trusts_its_database() -> None:
    policy = _compile(essential_packages={("rpm", "openssh-server"): "sshd"})
    assert policy.settings["trust"] == "rpmdb,file"
    assert int(policy.settings["db_max_size"]) == 100 + int(_compile().settings["db_max_size"])
    assert any("rpm's database" in each.why for each in policy.unexpressed)
    assert not any("rpm" in each.why for each in _compile().unexpressed)


def _refused(facts: Facts = FACTS, options: Options = OPTIONS, *rules: Rule) -> list[str]:
    return refusals(compile_policy(Allowlist(("base",), rules, ()), facts, options), facts, options)


def test_a_host_that_fits_is_not_refused() -> None:
    assert _refused() == []


def test_each_reason_is_a_sentence() -> None:
    assert "1.1 or newer" in _refused(FACTS._replace(version="1.0.4"))[0]
    assert "on 0 days" in _refused(FACTS._replace(observed_days=0))[0]
    assert "not watch: ext4" in _refused(options=Options("enforce", ("ext3",), 1))[0]
    assert "fs.protected_hardlinks" in _refused(FACTS._replace(protects_hard_links=False))[0]
    assert "not watch: overlay" in _refused(FACTS._replace(file_systems=(FileSystem("/", "overlay"),)))[0]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"verification": MODIFIED}, "it is not as its package openssh-server ships it"),
        ({"verification": NO_DIGEST}, "its package openssh-server records no digest of it"),
    ],
)
def test_changed_files_of_the_way_back_in_are_refused(facts: dict[str, t.Any], why: str) -> None:
    changed = FACTS._replace(files=(_file("/usr/sbin/sshd", "openssh-server", **facts),))
    [sentence] = _refused(changed)
    assert f"/usr/sbin/sshd, for sign-in over SSH: {why}" in sentence
    named = changed._replace(named={"/usr/sbin/sshd": changed.files[0]})
    assert _refused(named, OPTIONS, Rule("base", sha256=A, path="/usr/sbin/sshd")) == []
    conffile = FACTS._replace(files=(SSHD, _file("/etc/init.d/ssh", "openssh-server", conffile=True, **facts)))
    assert _refused(conffile) == []
    library = FACTS._replace(files=(SSHD, _file("/usr/lib/libc.so.6", "libc6", kind=LIBRARY, **facts)))
    assert "/usr/lib/libc.so.6, for a dependency of SSH or Ansible" in _refused(library)[0]


def test_interpreter_of_this_connection_is_refused_unless_something_allows_it() -> None:
    own = _file("/opt/py/bin/python3.12", "", verification=UNPACKAGED)
    facts = FACTS._replace(essentials=(Essential(own.path, "the interpreter of modules", own),))
    assert "belongs to no package, and no rule allows it" in _refused(facts)[0]
    allowed = facts._replace(directories={"/opt/py": ()})
    assert _refused(allowed, OPTIONS, Rule("base", directory="/opt/py")) == []
    gone = FACTS._replace(essentials=(Essential("/usr/bin/x", "this connection", None, "there is no such file"),))
    assert "/usr/bin/x, for this connection: there is no such file" in _refused(gone)[0]


def test_programs_that_ran_and_would_be_stopped_have_to_be_reviewed() -> None:
    records = (_record("/opt/x"), _record("/usr/sbin/sshd"))
    facts = FACTS._replace(records=records)
    [sentence] = _refused(facts)
    assert "/opt/x (it could not be read)" in sentence
    assert "/usr/sbin/sshd" not in sentence
    assert _refused(facts, OPTIONS._replace(blocked=("/opt/*",))) == []


@pytest.mark.parametrize(
    ("record", "is_stopped"),
    [
        (_record("/usr/sbin/sshd"), False),
        (_record("/opt/x"), True),
        (_record("/opt/x", image="nginx"), False),
        (_record("/opt/x", content="memory"), False),
        (_record("/proc/other-root/x"), False),
        (_record("/var/lib/dpkg/tmp.ci/preinst", SCRIPT), False),
        (_record("/opt/app/x"), False),
        (_record("/opt/x", sha256=C), False),
        (_record("/opt/s.sh", SCRIPT, interpreter="/usr/bin/dash"), True),
        (_record("/etc/s.sh", SCRIPT, interpreter="/usr/bin/dash"), False),
        (_record("/opt/s.rb", SCRIPT, interpreter="/usr/bin/ruby"), False),
        (_record("/tmp/s.py", SCRIPT, interpreter="/usr/bin/python3.13"), False),
        (_record("/tmp/s.py", SCRIPT, interpreter="/usr/bin/python3.13", users=["ann"]), True),
        (_record("/tmp/s.py", SCRIPT, interpreter="/usr/bin/python3.13", users=["root", "ann"]), True),
        (_record("/opt/s.py", SCRIPT, interpreter="/usr/bin/python3.13", users=["ann"]), False),
        (_record("/home/ann/s.py", SCRIPT, interpreter="/usr/bin/python3.13", users=["ann"]), True),
        (_record("/home/web/lib/s.py", SCRIPT, interpreter="/usr/bin/python3.13", users=["ann"]), False),
        (_record("/home/web/lib/s.sh", SCRIPT, interpreter="/usr/bin/dash", users=["ann"]), True),
        (_record("/home/ann/.ansible/tmp/a/m.py", SCRIPT, interpreter="/usr/bin/python3.13", users=["ann"]), False),
        (_record("/opt/for-ann", users=["ann"]), False),
        (_record("/opt/for-ann", users=["ann", "root"]), True),
    ],
)
def test_prediction(record: Record, is_stopped: bool) -> None:
    policy = _compile(
        Rule("web", directory="/opt/app"),
        Rule("web", sha256=C),
        Rule("web", sha256=B, path="/home/web/app.py"),
        directories={"/opt/app": ()},
        exemptions=[Exemption("/opt/for-ann", "", "me", user="ann")],
        named={"/opt/for-ann": _file("/opt/for-ann", "")},
        connection=Connection("/home/ann/.ansible/tmp", (0, 1000)),
    )
    assert [each.path for each in blocked(policy, [record], FACTS.users)] == (
        [record.program.path] if is_stopped else []
    )
