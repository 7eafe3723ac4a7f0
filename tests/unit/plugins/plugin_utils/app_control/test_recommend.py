# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that are recommended, and what a person has to decide about."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import MODIFIED, NO_DIGEST, Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding, Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommend import recommend
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import ReviewItem, Role

from tests.bench import _app_worlds, app_control
from tests.unit.plugins.plugin_utils.app_control.fleets import (
    DAY,
    DEBIAN,
    ROCKY,
    UNTIL,
    Builder,
    Seen,
    packaged,
    two_roles,
    unpackaged,
    web,
)

WEB = [f"web{number}" for number in range(12)]


def _built(distribution: str = DEBIAN) -> Builder:
    """Return twelve web servers, and hosts that are none."""
    built = Builder()
    for name in WEB:
        built.host(name, *web(distribution), distribution=distribution)
    for number in range(8):
        built.host(f"plain{number}", distribution=distribution)
    return built


def _learned(built: Builder, **more: t.Any) -> tuple[Role, Role]:
    """Return the base and the role of web servers."""
    base, role = recommend(built.fleet(), **more).roles
    return base, role


def _rules(role: Role) -> list[Rule]:
    return [one.rule for one in role.rules]


def _reviewed(role: Role, path: str) -> ReviewItem:
    (item,) = (item for item in role.review if item.program.path == path)
    return item


def test_packages_are_recommended_for_the_base_and_the_role() -> None:
    base, role = _learned(_built())
    assert {rule.package for rule in _rules(base)} == {f"base{letter}" for letter in "abcdefgh"}
    assert {(rule.package, rule.manager, rule.origin) for rule in _rules(role)} == {
        ("nginx", "dpkg", ""),
        ("apache2-utils", "dpkg", ""),
        ("php", "dpkg", ""),
    }
    assert role.rules[0].reason == "all 12 hosts run it"
    assert (role.rules[0].programs, role.rules[0].hosts) == (1, 12)
    assert role.review == ()


def test_the_key_that_signed_an_rpm_is_part_of_the_rule() -> None:
    built = _built(ROCKY)
    for name in WEB:
        built.add(name, packaged("inhouse", distribution=ROCKY, origin=""))
    _base, role = _learned(built)
    assert {rule.origin for rule in _rules(role)} == {"6d745a60"}
    assert _reviewed(role, "/usr/sbin/inhouse").reasons == ("nobody signed its package",)


def test_content_that_other_hosts_do_not_have_is_left_out_of_the_rule() -> None:
    built = _built()
    for name in ("web1", "web2"):
        built.add(name, packaged("basea", sha256="evil"))
    base, _role = _learned(built)
    (rule,) = (rule for rule in _rules(base) if rule.package == "basea")
    assert rule.except_sha256 == ("evil",)
    item = _reviewed(base, "/usr/sbin/basea")
    assert item.hosts == ("web1", "web2")
    assert item.reasons == ("other hosts have another file at the same version of the package",)
    assert item.rule == Rule("base-debian-12", sha256="evil", path="/usr/sbin/basea")


def test_the_files_that_one_host_changed_are_one_item() -> None:
    built = _built()
    built.add("web1", *(packaged(f"base{letter}", sha256=f"evil {letter}") for letter in "abcd"))
    base, _role = _learned(built)
    (item,) = base.review
    assert item.reasons[-1] == "it came to the same hosts as /usr/sbin/baseb, /usr/sbin/basec, /usr/sbin/based"
    refused = {rule.package: rule.except_sha256 for rule in _rules(base)}
    assert refused["based"] == ("evil d",)


def test_a_file_that_changed_on_a_host_is_the_wrong_one_whatever_most_hosts_have() -> None:
    built = _built()
    for name in WEB[:6]:
        built.host(name, *web()[1:], Seen(web()[0], 60, 40, 20), Seen(packaged("nginx", sha256="evil"), 19, 19))
    _base, role = _learned(built)
    (rule,) = (rule for rule in _rules(role) if rule.package == "nginx")
    assert rule.except_sha256 == ("evil",)
    assert _reviewed(role, "/usr/sbin/nginx").reasons == ("the file changed while the version of the package did not",)


def test_a_host_that_lies_does_not_make_the_right_file_the_wrong_one() -> None:
    """It reports that the file which other hosts have came after its own one."""
    built = _built()
    newer = packaged("basea", version="2.0")
    built.add("web1", Seen(newer, 20, 20))
    built.add("web2", Seen(newer._replace(sha256="evil"), 30, 10, 20), Seen(newer, 19, 19))
    base, _role = _learned(built)
    (rule,) = (rule for rule in _rules(base) if rule.package == "basea")
    assert "evil" in rule.except_sha256
    assert {item.reasons[0] for item in base.review} == {
        "hosts have different files at the same version of the package, and it is unclear which is right"
    }


def test_hosts_of_another_processor_are_compared_among_themselves() -> None:
    built = _built()
    others = ("web1", "web2", "web3", "plain1")
    more = [packaged(f"more{'abcdefghijklmnopqrst'[number]}") for number in range(20)]
    for name in (*WEB, *(f"plain{number}" for number in range(8))):
        built.add(name, *more)
    for name in others:
        arm = [packaged(f"base{letter}", sha256=f"arm {letter}") for letter in "abcdefgh"]
        built.host(name, *(web() if name in WEB else ()), *(one._replace(sha256=f"arm {one.path}") for one in more))
        built.add(name, *arm)
    fleet = built.fleet()
    # The last content of each path is that of the host.
    base = recommend(fleet).roles[0]
    assert {rule.except_sha256 for rule in _rules(base) if rule.package.startswith("more")} == {()}


def test_a_package_of_the_same_name_that_nobody_signed_is_left_out() -> None:
    built = _built()
    built.add("web1", packaged("baseb", version="9.9", origin=""))
    base, _role = _learned(built)
    (rule,) = (rule for rule in _rules(base) if rule.package == "baseb")
    assert rule.except_sha256 == ("debian 12 /usr/sbin/baseb 9.9",)
    assert _reviewed(base, "/usr/sbin/baseb").hosts == ("web1",)


def test_a_former_version_that_was_signed_is_none_of_these() -> None:
    built = _built()
    for number in range(8):
        # Since its successor is out, no index has it any more.
        built.add(f"plain{number}", Seen(packaged("baseb", version="0.9", origin="signed"), 60, 30, 30))
        built.add(f"plain{number}", Seen(packaged("baseb", version="0.9", origin=""), 30, 3, 27))
    base, _role = _learned(built)
    assert base.review == ()
    assert all(rule.except_sha256 == () for rule in _rules(base))


@pytest.mark.parametrize(
    ("changes", "reason", "rule"),
    [
        ({"verification": MODIFIED, "sha256": "x"}, "it is not as its package says", {"sha256": "x"}),
        ({"verification": NO_DIGEST}, "its package records no digest of it", {"allow_unverified": True}),
    ],
)
def test_files_that_their_package_does_not_vouch_for(changes: t.Any, reason: str, rule: t.Any) -> None:
    built = _built()
    for name in WEB:
        built.add(name, packaged("conf", "/etc/cron.daily/conf", **changes))
    _base, role = _learned(built)
    item = _reviewed(role, "/etc/cron.daily/conf")
    assert item.reasons[0] == reason
    assert {name: getattr(item.rule, name) for name in rule} == rule
    assert "conf" not in {rule.package for rule in _rules(role)}


def test_malware_is_reviewed_with_its_reasons() -> None:
    built = _built()
    for name in WEB[:4]:
        built.add(
            name, Seen(unpackaged("/usr/local/sbin/kworker"), 20, 20), Seen(unpackaged("/usr/local/sbin/w2"), 20, 20)
        )
    built.add("web5", unpackaged("/tmp/x", writers=("www-data",)))
    _base, role = _learned(built)
    assert not [rule for rule in _rules(role) if not rule.package]
    item = _reviewed(role, "/usr/local/sbin/kworker")
    assert item.reasons == (
        "no package has it",
        "4 of 4 hosts ran it for the first time within a week, days after they were first observed",
        "it came to the same hosts as /usr/local/sbin/w2",
    )
    assert [program.path for program in item.further] == ["/usr/local/sbin/w2"]
    assert _reviewed(role, "/tmp/x").reasons == (
        "no package has it",
        "only one host runs it",
        "www-data can write there",
    )


def test_tools_of_packages_that_came_together_are_one_item() -> None:
    built = _built()
    for name in WEB[:4]:
        built.add(name, *(Seen(packaged(tool), 10, 5) for tool in ("hydra", "oddtool")))
    _base, role = _learned(built)
    item = _reviewed(role, "/usr/sbin/hydra")
    assert [program.package for program in item.further] == ["oddtool"]
    assert "it guesses passwords, or attacks other hosts" in item.reasons
    assert {"hydra", "oddtool"}.isdisjoint(rule.package for rule in _rules(role))


def test_an_interpreter_is_recommended_where_all_need_it_and_reviewed_elsewhere() -> None:
    built = _built()
    for number, name in enumerate((*WEB, *(f"plain{number}" for number in range(8)))):
        built.add(name, packaged("python3-minimal", "/usr/bin/python3.11"))
        if number % 3 == 0:
            built.add(name, Seen(packaged("gdb", "/usr/bin/gdb"), 59 - 2 * number, 2))
    base, _role = _learned(built)
    (python,) = (one for one in base.rules if one.rule.package == "python3-minimal")
    assert (
        python.reason == "all 20 hosts run it; beware: it runs any code that it is given, also code that is in no file"
    )
    assert _reviewed(base, "/usr/bin/gdb").reasons == (
        "it reads or changes the memory of other processes, or loads code into the kernel",
    )


def test_an_item_says_what_a_program_is_good_for_whatever_else_is_a_reason() -> None:
    built = Builder()
    for number in range(6):
        built.host(f"host{number}", *(web() if number < 3 else ()))
    for name in ("host0", "host1"):
        built.add(name, Seen(packaged("gdb", "/usr/bin/gdb"), 20, 5))
    _base, role = _learned(built)
    assert _reviewed(role, "/usr/bin/gdb").reasons[-1] == (
        "it reads or changes the memory of other processes, or loads code into the kernel"
    )


def test_own_software_is_a_directory_that_the_next_build_is_in_too() -> None:
    built = _built()
    for number, name in enumerate(WEB):
        build = f"1.{2 + number % 2}.0"
        built.add(name, unpackaged(f"/opt/shop/releases/{build}/bin/shopd", build))
    built.add("web3", unpackaged("/opt/shop/releases/1.3.0/bin/kd"))
    _base, role = _learned(built)
    (rule,) = (rule for rule in _rules(role) if rule.directory)
    assert rule == Rule(role.name, directory="/opt/shop/releases", except_sha256=("/opt/shop/releases/1.3.0/bin/kd",))
    assert _reviewed(role, "/opt/shop/releases/1.3.0/bin/kd").reasons == (
        "no other host has it in this directory of own software",
    )


def test_own_software_of_few_hosts_or_that_others_can_write_is_reviewed() -> None:
    built = _built()
    for name in WEB:
        built.add(name, unpackaged("/srv/app/run", writers=("app",)))
    for name in WEB[:4]:
        built.add(name, unpackaged("/opt/agent/bin/agent"))
    _base, role = _learned(built)
    assert not [rule for rule in _rules(role) if rule.directory]
    assert _reviewed(role, "/srv/app/run").rule == Rule(role.name, sha256="/srv/app/run", path="/srv/app/run")
    few = _reviewed(role, "/opt/agent/bin/agent")
    assert few.rule == Rule(role.name, directory="/opt/agent/bin")
    assert few.reasons == ("no package has it", "only 4 of 12 hosts run it")


def test_a_role_has_five_directories_at_most() -> None:
    built = _built()
    for name in WEB:
        built.add(name, *(unpackaged(f"/opt/app{letter}/bin/run") for letter in "abcdefg"))
    _base, role = _learned(built)
    assert len([rule for rule in _rules(role) if rule.directory]) == 5
    assert _reviewed(role, "/opt/appg/bin/run").reasons[-1] == "there are 5 directories of own software already"


def test_a_script_that_all_hosts_have_is_known_by_what_they_have_now() -> None:
    built = _built()
    for number, name in enumerate(WEB):
        path = "/usr/local/sbin/backup"
        built.add(name, Seen(unpackaged(path, "old"), 60, 30, 30), Seen(unpackaged(path, "new"), 30, 30))
        built.add(name, unpackaged("/usr/local/sbin/differs", "a" if number % 2 else "b"))
    _base, role = _learned(built)
    (rule,) = (rule for rule in _rules(role) if rule.sha256)
    assert (rule.path, rule.sha256) == ("/usr/local/sbin/backup", "new")
    assert _reviewed(role, "/usr/local/sbin/differs").reasons == (
        "no package has it",
        "its content differs: 2 digests on 12 hosts",
    )


def test_what_came_with_an_open_finding_is_reviewed() -> None:
    built = _built()
    for number, name in enumerate(WEB[:3]):
        built.add(name, Seen(packaged("agent"), 50 - 10 * number, 20))
    finding = OpenFinding("web1", UNTIL - 40.5 * DAY, "Web server started a shell")
    _base, role = _learned(built)
    assert "agent" in {rule.package for rule in _rules(role)}
    others = [finding._replace(host=name, time=UNTIL - (50 - 10 * n) * DAY) for n, name in enumerate(WEB[:3])]
    _base, role = _learned(built, findings=[finding, *others])
    assert _reviewed(role, "/usr/sbin/agent").reasons == (
        "it ran for the first time on web0 within a day of an open finding: Web server started a shell",
    )


def test_what_was_tried_out_is_counted_and_no_more() -> None:
    built = _built()
    built.add("web1", Seen(unpackaged("/root/try.sh"), 9, 1), Seen(packaged("htop"), 7, 2))
    _base, role = _learned(built)
    assert (role.review, role.undecided) == ((), 2)


def test_what_is_gone_or_never_was_a_file_is_in_no_list() -> None:
    built = _built()
    gone = Program("script", "/root/.ansible/tmp/x/AnsiballZ_setup.py", sha256="y", content="gone")
    built.add("web1", gone, Program("program", "/memfd:x", sha256="z", content="memory"))
    base, role = _learned(built)
    assert (base.review, role.review, role.undecided) == ((), (), 0)


def test_items_beyond_the_limit_are_counted() -> None:
    built = _built()
    for letter in "abcdef":
        built.add("web1", unpackaged(f"/usr/lib/{letter}/x"))
    _base, role = _learned(built, options=Options(max_review=2))
    assert (len(role.review), role.left_out) == (2, 4)


def test_the_images_of_containers_are_for_a_person() -> None:
    built = _built()
    for name in WEB:
        for path in ("/usr/bin/redis", "/usr/bin/redis-cli", "/entrypoint"):
            built.add(name, Program("program", path, image="docker.io/redis:7", sha256=path))
    _base, role = _learned(built)
    item = _reviewed(role, "/usr/bin/redis")
    assert item.reasons == ("nothing verifies the programs of a container's image",)
    assert item.rule == Rule(role.name, directory="/usr/bin", image="docker.io/redis:7")
    entry = _reviewed(role, "/entrypoint").rule
    assert entry == Rule(role.name, sha256="/entrypoint", path="/entrypoint", image="docker.io/redis:7")


def test_software_of_two_hosts_is_known_from_another_distribution() -> None:
    built = two_roles()
    for number in (3, 5, 7):
        built.host(f"web{number}", *web())
    role = next(role for role in recommend(built.fleet()).roles if "web1" in role.hosts and not role.distribution)
    # One host of this role is left on Rocky.
    assert {(rule.manager, rule.package) for rule in _rules(role)} >= {("rpm", "nginx"), ("rpm", "httpd-tools")}
    assert any(one.reason.endswith("the same software as on other distributions of this role") for one in role.rules)


def test_a_generated_fleet() -> None:
    world = _app_worlds.world(7)
    outcome = app_control.outcome(world, app_control.recommended)
    assert (outcome.misgrouped, outcome.roles, outcome.malware_recommended) == (0, 5, 0)
    assert outcome.later_allowed > 0.99
    assert outcome.review_items <= 20
    assert _app_worlds.world(7) == world
