# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An allowlist allows what people meant, and nothing that an intruder makes of it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import (
    Allowlist,
    Exemption,
    Rule,
    Verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judge import Judge, judge

NOW = 1_800_000_000.0
DAY = 86_400.0
ONE, OTHER = "1" * 64, "2" * 64

NGINX = Program(
    "program",
    "/usr/sbin/nginx",
    sha256=ONE,
    manager="dpkg",
    package="nginx",
    version="1.26-1",
    verification=_program.VERIFIED,
    origin="signed",
    owner="root",
)
TOOL = Program("program", "/opt/app/bin/tool", sha256=ONE, verification=_program.UNPACKAGED, owner="root")

PACKAGE = Rule("web", package="nginx", manager="dpkg")
DIRECTORY = Rule("web", directory="/opt/app/bin")
DIGEST = Rule("web", sha256=ONE, path="/opt/app/bin/tool")


def verdict(
    program: Program, *rules: Rule, exemptions: t.Sequence[Exemption] = (), users: t.Sequence[str] = ("root",)
) -> Verdict:
    return judge(program, users, Allowlist(("web",), rules, tuple(exemptions)), NOW)


def alert(program: Program, *rules: Rule, **others: t.Any) -> str:
    return verdict(program, *rules, **others).alert


@pytest.mark.parametrize(
    ("program", "rule", "by"),
    [
        (NGINX, PACKAGE, "package nginx of web"),
        (NGINX, PACKAGE._replace(origin="signed"), "package nginx of web"),
        (NGINX._replace(verification="no_digest"), PACKAGE._replace(allow_unverified=True), "package nginx of web"),
        (TOOL, DIRECTORY, "directory /opt/app/bin of web"),
        (NGINX, PACKAGE._replace(except_sha256=(OTHER,)), "package nginx of web"),
        (TOOL, Rule("web", directory="/opt"), "directory /opt of web"),
        (TOOL, DIGEST, "the sha256 rule of web"),
        (TOOL._replace(path="/anywhere"), Rule("web", sha256=ONE), "the sha256 rule of web"),
        (NGINX._replace(verification="modified"), Rule("web", sha256=ONE), "the sha256 rule of web"),
        (TOOL._replace(path="/memfd:x", content="memory"), Rule("web", sha256=ONE), "the sha256 rule of web"),
    ],
)
def test_what_a_rule_is_for_is_allowed(program: Program, rule: Rule, by: str) -> None:
    assert verdict(program, rule) == Verdict(True, by)


@pytest.mark.parametrize(
    ("program", "rules", "expected", "why"),
    [
        # Renamed: it belongs to no package at its new path.
        (NGINX._replace(path="/tmp/x", package="", manager="", verification="unpackaged"), [PACKAGE], "", "no package"),
        # A hard link to an allowed program from elsewhere is a file of nobody as well.
        (TOOL._replace(path="/home/eve/link"), [DIRECTORY, DIGEST], "", "no package"),
        (NGINX._replace(manager="rpm"), [PACKAGE], "", "no allowlist has its package nginx"),
        (NGINX._replace(origin=""), [PACKAGE._replace(origin="signed")], "", "not from signed"),
        (NGINX._replace(verification="no_digest"), [PACKAGE], "", "records no digest"),
        (
            NGINX._replace(verification="unknown"),
            [PACKAGE._replace(allow_unverified=True)],
            "",
            "could not be compared",
        ),
        (NGINX._replace(verification="modified"), [], "", "no allowlist has its package"),
        (
            NGINX._replace(verification="modified"),
            [PACKAGE._replace(allow_unverified=True)],
            "app_changed_program",
            "not what its package nginx 1.26-1 ships",
        ),
        # Verified, and other hosts have another content of the same version.
        (NGINX, [PACKAGE._replace(except_sha256=(ONE,))], "app_changed_program", "not what other hosts have"),
        (TOOL, [DIRECTORY._replace(except_sha256=(ONE,))], "", "the rule for /opt/app/bin leaves out this content"),
        # Anybody else can write there now.
        (TOOL._replace(writers=("eve",)), [DIRECTORY], "", "does not count, as eve can write there"),
        (TOOL._replace(owner="", content="gone"), [DIRECTORY], "", "it is unknown who can write there"),
        (TOOL._replace(path="/opt/app/bin-evil"), [DIRECTORY], "", "no package"),
        (TOOL._replace(path=printable("/tmp/x\n/opt/app/bin/tool")), [DIRECTORY, DIGEST], "", "no package"),
        (TOOL._replace(sha256=OTHER), [DIGEST], "app_changed_program", "has another content"),
        (TOOL._replace(sha256="", content="gone"), [DIGEST], "", "the file is gone"),
        (TOOL._replace(content="changed"), [], "", "it belongs to no package, and the file was written after it ran"),
        (TOOL._replace(path="/memfd:tool", content="memory"), [Rule("web", directory="/")], "", "from memory"),
    ],
)
def test_what_an_intruder_makes_of_it_is_not(program: Program, rules: list[Rule], expected: str, why: str) -> None:
    found = verdict(program, *rules)
    assert (found.allowed, found.alert) == (False, expected or "app_unapproved_program")
    assert why in found.by


@pytest.mark.parametrize("kind", ["script", "library"])
def test_alert_says_what_kind_it_is(kind: str) -> None:
    assert alert(TOOL._replace(kind=kind)) == f"app_unapproved_{kind}"


@pytest.mark.parametrize("content", ["changed", "gone"])
def test_content_that_may_not_be_what_ran_is_doubted(content: str) -> None:
    for program, rule in ((NGINX, PACKAGE), (TOOL, DIGEST)):
        found = verdict(program._replace(content=content), rule)
        assert (found.allowed, found.alert, found.severity) == (False, "app_changed_program", "low")
    # The directory is what people allowed, not a content.
    assert verdict(TOOL._replace(content=content), DIRECTORY).allowed


def test_doubted_package_counts_for_nothing() -> None:
    """Whoever edits dpkg's digests makes any content verified; the version stayed, and the content did not."""
    edited = NGINX._replace(sha256=OTHER)
    rules = (PACKAGE, Rule("web", directory="/usr/sbin"))
    found = Judge(Allowlist(("web",), rules, ()), NOW).judge(edited, ["root"], is_doubted=True)
    assert (found.allowed, found.alert, found.severity) == (False, "app_changed_program", None)
    by_hand = Judge(Allowlist(("web",), (*rules, Rule("web", sha256=OTHER)), ()), NOW)
    assert by_hand.judge(edited, ["root"], is_doubted=True).allowed


def exemption(program: str, **others: t.Any) -> Exemption:
    return Exemption(program, "A test", "alice", **others)


@pytest.mark.parametrize(
    ("given", "users", "is_allowed"),
    [
        (exemption("/opt/app/bin/tool"), ["eve"], True),
        (exemption("/opt/*/tool"), ["eve"], True),
        (exemption("*"), ["eve"], True),
        (exemption("/opt/app/bin/too"), ["eve"], False),
        (exemption("/opt/app/bin/tool", until=NOW + 1), ["eve"], True),
        (exemption("/opt/app/bin/tool", until=NOW - DAY), ["eve"], False),
        (exemption("/opt/app/bin/tool", until=NOW), ["eve"], False),
        (exemption("/opt/app/bin/tool", sha256=ONE), ["eve"], True),
        (exemption("/opt/app/bin/tool", sha256=OTHER), ["eve"], False),
        (exemption("*", user="ci"), ["ci"], True),
        (exemption("*", user="ci"), ["ci", "eve"], False),
        (exemption("*", user="ci"), [], False),
    ],
)
def test_exceptions_are_for_programs_contents_and_accounts(
    given: Exemption, users: list[str], is_allowed: bool
) -> None:
    found = verdict(TOOL, exemptions=[given], users=users)
    assert found.allowed is is_allowed
    if is_allowed:
        assert found.by == "exception by alice: A test"


def test_exception_of_each_account_counts() -> None:
    both = [exemption("*", user="ci"), exemption("/opt/*", user="bob")]
    assert verdict(TOOL, exemptions=both, users=["bob", "ci"]).allowed
    assert not verdict(TOOL, exemptions=both, users=["bob", "ci", "eve"]).allowed


def test_exceptions_can_allow_what_rules_do_not() -> None:
    changed = NGINX._replace(verification="modified")
    assert verdict(changed, PACKAGE, exemptions=[exemption("/usr/sbin/nginx")]).allowed
    for content in ("changed", "gone"):
        unknown = TOOL._replace(content=content)
        assert not verdict(unknown, exemptions=[exemption("*", sha256=ONE)]).allowed
    memory = TOOL._replace(path="/memfd:tool", content="memory")
    for pattern in ("/memfd:*", "*"):
        assert not verdict(memory, exemptions=[exemption(pattern, user="root")]).allowed
    assert verdict(memory, exemptions=[exemption("/memfd:tool")]).allowed
    starred = memory._replace(path="/memfd:*")
    assert verdict(starred, exemptions=[exemption("/memfd:[*]")]).allowed
    assert not verdict(memory, exemptions=[exemption("/memfd:[*]")]).allowed
    assert verdict(memory, exemptions=[exemption("/memfd:*", sha256=ONE)]).allowed


def test_name_that_is_a_pattern_covers_itself() -> None:
    star = TOOL._replace(path="/tmp/[a]*")
    assert verdict(star, exemptions=[exemption("/tmp/[[]a][*]")]).allowed
    assert verdict(star, exemptions=[exemption("/tmp/[a]*")]).allowed
    assert not verdict(TOOL._replace(path="/tmp/[a]x"), exemptions=[exemption("/tmp/[[]a][*]")]).allowed


def test_containers_have_rules_of_their_own() -> None:
    inside = NGINX._replace(image="shop:2")
    allowed = verdict(inside, PACKAGE)
    assert allowed == Verdict(True, "no allowlist has rules for containers of shop:2")
    of_image = PACKAGE._replace(image="shop:2")
    assert verdict(inside, of_image) == Verdict(True, "package nginx of web")
    assert alert(TOOL._replace(image="shop:2"), of_image, DIRECTORY, DIGEST) == "app_unapproved_program"
    assert alert(NGINX, of_image) == "app_unapproved_program"
    on_host = exemption("/opt/app/bin/tool")
    assert alert(TOOL._replace(image="shop:2"), of_image, exemptions=[on_host]) == "app_unapproved_program"
    inside_too = exemption("shop:2: /opt/app/bin/tool")
    assert verdict(TOOL._replace(image="shop:2"), of_image, exemptions=[inside_too]).allowed
