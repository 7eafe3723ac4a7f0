# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The baseline of a Windows host, with the real registry and real files of a Windows process under Wine."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.integration.windows.file_integrity._modules import APPLY, LOOK, World, alerts, changes, program
from tests.integration.windows.test_registry import Registry, do
from tests.support.file_integrity import ADDED
from tests.support.windows import toolchain

pytestmark = pytest.mark.requires(*toolchain.WINE)

_KILLS = 6
_START_SECONDS = 60


@pytest.fixture
def world(tmp_path: pathlib.Path) -> t.Iterator[World]:
    made = World(tmp_path)
    for name in ("changed.txt", "deleted.txt", "old-name.txt", "same.txt"):
        made.write(name, f"content of {name}\n")
    made.set_value("changed", "before")
    made.set_value("deleted", "before")
    made.set_value("same", "before")
    yield made
    made.remove()


def test_changes_are_reported_accepted_and_then_gone(world: World) -> None:
    first = world.apply()
    assert first["created"], first
    assert first["baseline"]["entries"] == 9
    assert first["baseline"]["digest"] == hashlib.sha256(world.baseline().read_bytes()).hexdigest()
    again, silent = world.call((APPLY, world.params(), False), (LOOK, world.params(), False))
    assert not again["changed"]
    assert silent["changes"] == silent["detections"] == []

    world.write("changed.txt", "another content\n")
    (world.files / "deleted.txt").unlink()
    (world.files / "old-name.txt").rename(world.files / "new-name.txt")
    world.write("new/created.txt", "new\n")
    world.set_value("changed", "after")
    world.delete_value("deleted")
    world.set_value("created", "new", key="\\below")
    looked = world.look()
    differing = changes(looked)
    assert set(differing) == {
        ("modified", world.path("changed.txt")),
        ("deleted", world.path("deleted.txt")),
        ("renamed", world.path("new-name.txt")),
        ("created", world.path("new")),
        ("created", world.path("new") + "\\created.txt"),
        ("modified", world.key + "\\changed"),
        ("deleted", world.key + "\\deleted"),
        ("created", world.key + "\\below"),
        ("created", world.key + "\\below\\created"),
    }
    assert "content" in differing[("modified", world.path("changed.txt"))]
    assert differing[("modified", world.key + "\\changed")] == ["content", "size"]
    # The directory is one finding with what is below it, but each file stays its own.
    assert len(looked["detections"]) == len(differing)
    renamed = next(change for change in looked["changes"] if change["kind"] == "renamed")
    assert renamed["previous_path"] == world.path("old-name.txt")

    by_id = next(change for change in looked["changes"] if change["path"] == world.key + "\\changed")
    accepted = world.accept(by_id["id"], world.path("changed.txt"))
    assert accepted["accepted_count"] == 2, accepted
    left = changes(world.look())
    assert set(left) == set(differing) - {("modified", by_id["path"]), ("modified", world.path("changed.txt"))}

    accepted, silent = world.call(
        (APPLY, world.params(accept=["all"], reason="CHG-2", accepted_by="alice"), False),
        (LOOK, world.params(), False),
    )
    assert accepted["accepted_count"] == len(left)
    assert silent["changes"] == []
    assert silent["baseline"]["updated_by"] == "alice"
    assert silent["baseline"]["reason"] == "CHG-2"


def test_nothing_is_accepted_that_was_not_reviewed(world: World) -> None:
    world.apply()
    world.set_value("changed", "reviewed")
    reviewed = world.look()["changes"][0]["id"]
    world.set_value("changed", "something else")
    refused, missing = world.call(
        (APPLY, world.params(accept=[reviewed], reason="r", accepted_by="a"), False),
        (APPLY, world.params(accept=["all"]), False),
    )
    assert refused["failed"]
    assert "is not a current change" in refused["msg"]
    assert missing["failed"]
    assert "reason is missing" in missing["msg"]


def test_accepting_a_new_key_takes_only_what_is_named_and_says_what_remains(world: World) -> None:
    world.apply()
    for name in ("ImagePath", "Start"):
        world.set_value(name, "reviewed", key="\\service")
    world.write("new/created.txt", "new\n")
    reviewed = {change["path"]: change["id"] for change in world.look()["changes"]}
    service = world.key + "\\service"
    # It came after the review, which showed no such value.
    world.set_value("ServiceDll", "unseen", key="\\service")
    preview = world.accept(service, check_mode=True)
    by_ids = world.accept(*(reviewed[path] for path in reviewed if path.startswith(service)))
    left = {path for _kind, path in changes(world.look())}
    assert left == {service + "\\ServiceDll", world.path("new"), world.path("new") + "\\created.txt"}
    (warning,) = preview["notices"]
    assert warning == (
        f"new entries below accepted keys and directories were not accepted (3): {service}\\ImagePath, "
        f"{service}\\ServiceDll, {service}\\Start. Review them, then accept each by its id or path"
    )
    assert by_ids["accepted_count"] == 3
    (warning,) = by_ids["notices"]
    assert f"(1): {service}\\ServiceDll." in warning
    directory = world.accept(world.path("new"))
    assert directory["accepted_count"] == 1
    assert f"(1): {world.path('new')}\\created.txt." in directory["notices"][0]
    # Where nothing remains, nothing is said.
    assert "notices" not in world.accept("all")


def test_a_file_is_accepted_although_its_watch_records_no_content(world: World) -> None:
    watches = [{**world.watches[0], "attributes": ["owner", "dacl"]}]
    world.apply(watches=watches)
    world.write("new.txt", "new\n")
    accepted = world.accept(world.path("new.txt"), watches=watches)
    assert (accepted.get("msg"), accepted["accepted_count"]) == (None, 1)
    assert world.look()["changes"] == []


def test_check_mode_says_what_it_would_do_and_writes_nothing(world: World) -> None:
    assert world.apply(check_mode=True)["changed"]
    assert not world.state.exists()
    world.apply()
    before = world.baseline().read_bytes()
    world.set_value("changed", "after")
    preview = world.accept("all", check_mode=True)
    assert preview["changed"]
    assert preview["accepted"][0]["path"] == world.key + "\\changed"
    assert "after" in preview["diff"]["after"]
    removed = world.apply(state="absent", check_mode=True)
    assert removed["changed"]
    assert world.baseline().read_bytes() == before


def _edited(world: World) -> None:
    world.baseline().write_bytes(world.baseline().read_bytes().replace(b'"before"', b'"forged"'))


def _cut(world: World) -> None:
    world.baseline().write_bytes(world.baseline().read_bytes()[:-40])


def _removed(world: World) -> None:
    world.baseline().unlink()


def _replaced(world: World) -> None:
    world.baseline().unlink()
    world.expected = None
    world.apply()


def _swapped(world: World) -> None:
    """Put another baseline of this host in the place of this one."""
    world.expected = None
    world.apply(baseline="other")
    world.baseline().with_name("other.baseline").rename(world.baseline())


def _rolled_back(world: World) -> None:
    """Leave what only an interrupted replacement leaves, with an older content."""
    _edited(world)
    world.baseline().rename(world.baseline().with_name("default.baseline.former"))


@pytest.mark.parametrize(
    ("attack", "alert"),
    [
        (_edited, "fim_baseline_tampered"),
        (_cut, "fim_baseline_tampered"),
        (_replaced, "fim_baseline_tampered"),
        (_swapped, "fim_baseline_tampered"),
        (_rolled_back, "fim_baseline_tampered"),
        (_removed, "fim_baseline_removed"),
    ],
)
def test_a_baseline_that_is_not_the_sealed_one_checks_nothing(
    world: World, attack: t.Callable[[World], None], alert: str
) -> None:
    sealed = [world.apply()["baseline"]["digest"]]
    attack(world)
    world.expected = sealed
    looked, present, accepting = world.call(
        (LOOK, world.params(), False),
        (APPLY, world.params(), False),
        (APPLY, world.params(accept=["all"], reason="r", accepted_by="a"), False),
    )
    for result in (looked, present):
        assert alerts(result) == {alert}
        assert {entry["status"] for entry in result["coverage"]} == {"not_checked"}
        assert not result["changed"]
    assert accepting["failed"]
    world.expected = None
    absent, again, fresh = world.call(
        (APPLY, world.params(state="absent"), False),
        (APPLY, world.params(state="absent"), False),
        (APPLY, world.params(), False),
    )
    assert absent["changed"] == (attack is not _removed)
    assert not again["changed"]
    assert fresh["created"]


def test_a_baseline_that_the_controller_does_not_know_is_compared_but_proves_nothing(world: World) -> None:
    world.apply()
    world.set_value("changed", "after")
    world.expected = []
    looked = world.look()
    assert len(looked["changes"]) == 1
    assert {entry["status"] for entry in looked["coverage"]} == {"not_checked"}
    present = world.apply()
    assert not present["changed"]
    assert "holds no seal" in present["notices"][0]


def test_staging_and_taking_over_keep_baseline_and_seal_together(world: World) -> None:
    world.expected = []
    staged = world.apply(_phase="stage")
    digest = staged["staged_digest"]
    assert not world.baseline().exists()
    world.expected = ["none", digest]
    wrong = world.apply(_phase="commit", _digest="0" * 64)
    assert wrong["failed"]
    committed = world.apply(_phase="commit", _digest=digest)
    again = world.apply(_phase="commit", _digest=digest)
    assert committed["changed"]
    assert not again["changed"]
    assert again["baseline"]["digest"] == digest
    assert "default.staged" not in os.listdir(world.baseline().parent)


def test_another_watch_extends_the_baseline_without_accepting_anything(world: World) -> None:
    world.apply()
    world.set_value("changed", "after")
    world.set_value("created", "new")
    more = world.files.parent / "more"
    more.mkdir()
    (more / "added.txt").write_text("added\n", encoding="utf-8")
    world.watches.append({"name": "more", "paths": [toolchain.windows_path(more)], "registry": [world.key]})
    extended, looked = world.call((APPLY, world.params(), False), (LOOK, world.params(), False))
    assert extended["watches_added"] == ["more"]
    # The directory and its file; what the other watch had or waits for is none of it.
    assert extended["notices"] == [ADDED % "2 of watch 'more'"]
    notes = {scope["scope"]: scope.get("note") for scope in extended["coverage"]}
    assert notes == {"more": "New entries in the baseline, accepted without a comparison: 2"}
    assert {scope.get("note") for scope in looked["coverage"]} == {None}
    assert set(changes(looked)) == {("modified", world.key + "\\changed"), ("created", world.key + "\\created")}
    world.watches.pop()
    shortened = world.apply()
    assert shortened["watches_removed"] == ["more"]
    assert shortened["baseline"]["entries"] == 9
    assert "notices" not in shortened
    # What came while the watch was off is accepted with the rest, and that is said again.
    (more / "meanwhile.txt").write_text("meanwhile\n", encoding="utf-8")
    world.watches.append({"name": "more", "paths": [toolchain.windows_path(more)]})
    again, same = world.call((APPLY, world.params(), False), (APPLY, world.params(), False))
    assert again["notices"] == [ADDED % "3 of watch 'more'"]
    assert "notices" not in same


def test_a_limit_and_paths_that_match_nothing_are_reported(world: World) -> None:
    world.apply()
    for number in range(5):
        world.write(f"created{number}.txt", "new\n")
    looked = world.look(max_changes=2)
    assert looked["changes_count"] == 5
    assert len(looked["changes"]) == 2
    assert "fim_mass_change" in alerts(looked)
    world.watches.append({"name": "nothing", "registry": [world.key + "\\absent"]})
    first = world.apply(baseline="other")
    scopes = {entry["scope"]: entry for entry in first["coverage"]}
    assert "nothing on the host matches it" in scopes["nothing"]["skipped"][0]["reason"]


def test_two_runs_at_once_leave_one_whole_baseline(world: World) -> None:
    for number in range(50):
        world.write(f"many{number}.txt", str(number))
    with _started(world) as first_run, _started(world) as second_run:
        for process in (first_run, second_run):
            assert process.wait(_START_SECONDS) == 0
    looked = world.look()
    assert looked["changes"] == []
    assert looked["baseline"]["entries"] == 59


def test_a_kill_at_any_moment_leaves_the_old_baseline(world: World) -> None:
    world.apply()
    kills = 0
    for number in range(_KILLS):
        for file in range(100):
            world.write(f"many{file}.txt", f"{number} {file}")
        with _started(world, accept=["all"], reason="r", accepted_by="a") as process:
            try:
                process.wait(0.15 * (number + 1))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        looked = world.look()
        # The former entries, or those of all new files.
        assert looked["baseline"]["entries"] in (9, 109), looked
        assert looked["baseline"]["digest"] == hashlib.sha256(world.baseline().read_bytes()).hexdigest()
    assert kills
    final = world.accept("all")
    assert not final.get("failed"), final
    assert world.look()["changes"] == []
    names = set(os.listdir(world.baseline().parent))
    assert names <= {"default.baseline", "default.lock"}, names


def test_a_comparison_that_takes_long_keeps_nobody_from_accepting(world: World) -> None:
    world.apply()
    world.set_value("changed", "after")
    world.set_value("created", "after")
    accept = world.params(accept=["all"], reason="r", accepted_by="a")
    hold: tuple[str, dict[str, t.Any], bool] = ("hold", world.params(), False)
    _held, accepted, looked = world.call(hold, (APPLY, accept, False), (LOOK, world.params(), False))
    assert accepted["accepted_count"] == 2, accepted
    assert looked["changes"] == []
    assert set(os.listdir(world.baseline().parent)) == {"default.baseline", "default.lock"}


_HOSTILE = (
    "nul\0name",
    "half\ud800",
    "new\nline\rreturn",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe",
    "C:\\Users",
    "<U+005C>",
    "(default)",
    "",
    '","v","value","key",{},""]',
    "HKLM\\SOFTWARE\\other: was accepted",
    "{{ lookup('pipe', 'id') }}",
)


def test_hostile_names_are_reported_shown_and_accepted(world: World) -> None:
    registry = Registry()
    write = [do("Write", world.key, name, 1, f"before {name}") for name in _HOSTILE]
    registry.run(*write)
    world.apply()
    # What most programs cannot open is an alert as long as nobody accepts it.
    assert [change["alert"] for change in world.look()["changes"]] == ["hidden_registry_entry"] * 2
    registry.run(*(do("Write", world.key, name, 1, "after") for name in _HOSTILE))
    changed = world.look()
    assert {change["kind"] for change in changed["changes"]} == {"modified"}
    assert len({change["path"] for change in changed["changes"]}) == len(_HOSTILE)
    assert all(change["path"].isprintable() for change in changed["changes"])
    findings = events.findings(changed["detections"], catalogue.load(), events.Device("host"), 1.0)
    assert len({finding["finding_info"]["uid"] for finding in findings}) == len(findings) == len(_HOSTILE)
    assert [finding["unmapped"].get("notes") for finding in findings] == [None] * len(_HOSTILE)
    paths = [change["path"] for change in changed["changes"]]
    accepted, looked = world.call(
        (APPLY, world.params(accept=paths, reason="r", accepted_by="a"), False), (LOOK, world.params(), False)
    )
    assert accepted["accepted_count"] == len(_HOSTILE)
    assert looked["changes"] == []
    registry.run(*(do("DeleteValue", world.key, name) for name in _HOSTILE))
    deleted = world.look()
    assert [change["kind"] for change in deleted["changes"]] == ["deleted"] * len(_HOSTILE)
    registry.run(do("Delete", world.key))


@pytest.mark.requires("root", "command:mount")
def test_a_full_disk_leaves_the_old_baseline(world: World) -> None:
    world.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(world.state)], check=True)
    try:
        sealed = world.apply()["baseline"]["digest"]
        before = world.baseline().read_bytes()
        for number in range(300):
            world.write(f"many{number}.txt", str(number))
        refused, looked = world.call(
            (APPLY, world.params(accept=["all"], reason="r", accepted_by="a"), False), (LOOK, world.params(), False)
        )
        assert refused["failed"]
        assert "space" in refused["msg"]
        assert world.baseline().read_bytes() == before
        assert looked["baseline"]["digest"] == sealed
    finally:
        subprocess.run(["umount", str(world.state)], check=True)


def _started(world: World, **options: t.Any) -> subprocess.Popen[bytes]:
    """Start a module in a process of its own."""
    toolchain.keep_running()
    asked = [{"module": APPLY, "params": world.params(**options), "check_mode": False}]
    request_file = world.files.parent / f"asked{os.urandom(4).hex()}.json"
    request_file.write_text(json.dumps(asked), encoding="utf-8")
    with request_file.open("rb") as stream:
        return subprocess.Popen(
            program().command(),
            env=toolchain.environment(),
            stdin=stream,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
