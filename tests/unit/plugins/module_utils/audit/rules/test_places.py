# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing when rules are deployed is awaited by its name, and what came later or was replaced is known."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import content, detect, places, plan
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.places import Places
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.state import Note
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import Status
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule

HOST = text.Host("x86_64")
STATUS = Status(1, 1, 1, 0, 0, 0, 0, 0)


@pytest.fixture(autouse=True)
def _no_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_parents_of_homes", list)


def selected(lines: t.Sequence[str], home: pathlib.Path) -> content.Selection:
    return content.select(content.Wish([("mine", lines)], [], [], []), HOST, True, [str(home)])


def names(selection: content.Selection) -> list[str]:
    """Return the names that are awaited, of one architecture."""
    rules = [entry.rule for entry in selection.wanted if entry.group == content.APPEARING]
    return [name for name in map(places.name_of, rules[::2]) if name]


def test_what_is_missing_is_awaited_by_its_first_name_and_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".config").mkdir()
    lines = [
        f"-a always,exit -F {kind}=~/{name} -F perm={access}"
        for kind, name, access in (
            ("dir", ".ssh", "wa"),
            ("dir", ".config/systemd", "wa"),
            ("path", ".config/gcloud/credentials.db", "rwa"),
            ("dir", ".local/share/systemd", "wa"),
            ("path", ".local/share/fish/fish_history", "wa"),
            # Reading leaves nothing that a name could show, and a file that is missing is watched by its name anyway.
            ("path", ".kube/config", "r"),
            ("path", ".netrc", "wa"),
        )
    ]
    selection = selected(lines, tmp_path)
    expected = (".ssh", ".config", ".config/systemd", ".config/gcloud", ".local")
    assert names(selection) == [f"{tmp_path}/{name}" for name in expected]
    assert len(selection.awaited) == 5
    assert {places.tree_of(rule) for rule in selection.rules} == {None}


def test_a_directory_in_a_home_is_watched_by_its_name_too_as_its_owner_can_replace_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".ssh").mkdir()
    selection = selected(["-a always,exit -F dir=~/.ssh -F perm=wa"], tmp_path)
    assert names(selection) == [f"{tmp_path}/.ssh"]
    assert selection.awaited == {}
    assert [path for path in map(places.tree_of, selection.rules) if path] == [f"{tmp_path}/.ssh"] * 2


def test_nothing_is_awaited_below_a_directory_that_is_watched_and_no_tree_is_put_on_a_parent(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "etc").mkdir()
    lines = [f"-a always,exit -F dir={tmp_path}/etc{below} -F perm=wa" for below in ("", "/one/two", "/three")]
    selection = selected(lines, tmp_path)
    assert (names(selection), selection.awaited) == ([], {})
    selection = selected(lines[1:], tmp_path)
    assert names(selection) == [f"{tmp_path}/etc/one", f"{tmp_path}/etc/three"]
    assert [path for path in map(places.tree_of, selection.rules) if path] == []


def test_rules_for_certain_system_calls_and_for_what_the_kernel_makes_await_nothing(tmp_path: pathlib.Path) -> None:
    lines = [
        f"-a always,exit -S unlink,rename -F dir={tmp_path}/opt/agent",
        "-a always,exit -F path=/sys/nothing/there -F perm=w",
        f"-a always,exit -F path={tmp_path}/disk[0-9] -F perm=w",
    ]
    assert selected(lines, tmp_path).rules == []


def test_rules_for_names_come_last_so_that_events_carry_the_key_of_what_is_watched(tmp_path: pathlib.Path) -> None:
    lines = ["-a always,exit -F dir=~/.ssh -F perm=wa"]
    before = selected(lines, tmp_path).rules
    assert [rule.keys for rule in before] == [["bulwark-appearing", "bulwark-mine"]] * 2
    (tmp_path / ".ssh").mkdir()
    after = selected(lines, tmp_path).rules
    made = plan.make(after, before, frozenset(before))
    assert (made.add, made.delete, made.ours) == (tuple(after), tuple(before), ())
    assert [bool(places.tree_of(rule)) for rule in made.add] == [True, True, False, False]
    again = plan.make(after, after, frozenset(after))
    assert not again.changes


def described(
    rules: t.Sequence[Rule], awaited: t.Sequence[str] = (), before: Places | None = None, now: float = 1.0
) -> Places:
    return places.describe(rules, awaited, (), (), before, now)


def tree(path: pathlib.Path) -> Rule:
    return text.parse(f"-a always,exit -F dir={path} -F perm=wa -F key=bulwark-mine", HOST)


def replace(path: pathlib.Path) -> None:
    path.rename(path.with_name("former"))
    path.mkdir()


def test_a_directory_that_another_took_the_place_of_is_known_and_its_rule_loaded_anew(tmp_path: pathlib.Path) -> None:
    watched, other = tmp_path / "watched", tmp_path / "other"
    watched.mkdir()
    other.mkdir()
    rules = [tree(watched), tree(other)]
    known = described(rules)
    assert places.replaced(known) == []
    replace(watched)
    assert places.replaced(known) == [str(watched)]
    made = plan.make(rules, rules, frozenset(rules), frozenset(rules[:1]))
    assert (made.delete, made.add, made.ours) == ((rules[0],), (rules[0],), (rules[1],))
    # After the deployment it is watched again, and known to have come.
    assert dict(described(rules, (), known, 7.0).appeared) == {str(watched): 7.0}
    assert places.replaced(described(rules, (), known, 7.0)) == []


def test_a_number_that_is_used_again_is_another_directory(tmp_path: pathlib.Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    known = described([tree(watched)])
    for _attempt in range(20):
        watched.rmdir()
        watched.mkdir()
        assert places.replaced(known) == [str(watched)]


def test_what_came_is_known_until_rules_watch_it_and_then_since_when(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "www"
    first = described([], [str(path)])
    assert places.unrecorded(first, ()) == [str(path)]
    path.mkdir()
    second = described([tree(path)], (), first, 5.0)
    assert places.unrecorded(second, ()) == []
    assert dict(second.appeared) == {str(path): 5.0}
    assert Places.load(second.dump()).same_but_for_time(second)


def test_the_home_of_a_new_account_is_not_watched() -> None:
    known = places.describe([], (), ["/home/bob"], ["/.ssh", "/.bashrc"], None, 1.0)
    assert places.unrecorded(known, ["/home/bob", "/home/eve"]) == ["/home/eve/.ssh", "/home/eve/.bashrc"]


def missing(known: Places | None, *rules: Rule) -> str | None:
    """Return the severity of rules that are not in the kernel."""
    note = Note(tuple(rules), places=known)
    seen = detect.Seen("x86_64", STATUS, (), plan.make(rules, (), frozenset()), (), note, "", True)
    (found,) = detect.detections(seen)
    assert found["alert"] == "audit_rules_missing"
    return t.cast("str | None", found["severity"])


def test_who_deletes_the_rule_of_a_directory_that_is_there_is_an_alert(tmp_path: pathlib.Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    rule = tree(watched)
    known = described([rule])
    assert missing(known, rule) is None
    os.rmdir(watched)
    assert missing(known, rule) == "low"
    watched.mkdir()
    assert missing(known, rule) == "low"
    assert missing(None, rule) is None


def test_a_name_is_dropped_with_the_directory_above_it(tmp_path: pathlib.Path) -> None:
    home = tmp_path / "bob"
    home.mkdir()
    rule = text.parse(f"-a always,exit -F path={home}/.ssh -F perm=wa -F key=bulwark-appearing", HOST)
    known = described([rule])
    assert missing(known, rule) is None
    home.rmdir()
    assert missing(known, rule) == "low"


def wanted_by_now(arrivals: detect.Arrivals, *lines: str) -> tuple[str, str]:
    rules = [text.parse(line, HOST) for line in lines]
    seen = detect.Seen("x86_64", STATUS, (), plan.make(rules, (), frozenset()), (), Note(()), "", True, arrivals)
    (found,) = detect.detections(seen)
    return found["severity"], found["message"]


def test_a_new_account_is_no_alert_by_itself_and_everything_else_that_came_is() -> None:
    home = "-a always,exit -F path=/home/eve/.bashrc -F perm=wa"
    eve = detect.Arrivals(homes=("/home/eve",))
    severity, message = wanted_by_now(eve, home)
    assert severity == "informational"
    assert message.endswith(
        "Paths were created after the deployment: 1 that are homes of new accounts (/home/eve)."
        " Events there are not recorded until the next deployment."
    )
    assert wanted_by_now(eve, home, "-a always,exit -F dir=/var/www -F perm=wa")[0] == "low"
    assert wanted_by_now(detect.Arrivals(("/home/eve/.ssh",), (), ("/home/eve",)), home)[0] == "low"


def test_the_time_of_a_deployment_is_when_its_rules_were_loaded(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "www"
    first = described([], [str(path)])
    path.mkdir()
    looked_at = described([tree(path)], (), described([], ["/elsewhere"], first, 3.0), 5.0)
    loaded = looked_at.loaded(6.0)
    assert (loaded.time, dict(loaded.appeared)) == (6.0, {str(path): 3.0})
    again = described([tree(path)], (), first, 5.0).loaded(6.0)
    assert dict(again.appeared) == {str(path): 6.0}
