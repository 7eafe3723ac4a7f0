# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint


@pytest.fixture
def root(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "state")


def save(root: str, state: dict[str, t.Any], token: str | None = None, name: str = "audit_events") -> str:
    said = Checkpoint.load(root, name, token, advance=True).save(state)
    assert said is not None
    assert said["name"] == name
    assert said["after"] == token
    return t.cast("str", said["token"])


def files(root: str) -> list[str]:
    return sorted(name for name in os.listdir(os.path.join(root, "checkpoints")) if name != "lock")


def age(root: str, seconds: float) -> None:
    """Make all files older, so that the order in which they were written shows."""
    for name in files(root):
        path = os.path.join(root, "checkpoints", name)
        changed = os.stat(path).st_mtime - seconds
        os.utime(path, (changed, changed))


def test_what_was_kept_is_there_for_the_token_and_for_no_other(root: str) -> None:
    first = save(root, {"offset": 1})
    second = save(root, {"offset": 2, "text": "\udcff\u2028 \x00"}, token=first)
    checkpoint = Checkpoint.load(root, "audit_events", second, advance=False)
    assert (checkpoint.state, checkpoint.problem, checkpoint.known) == (
        {"offset": 2, "text": "\udcff\u2028 \x00"},
        None,
        True,
    )
    # The run that made the second was not recorded: the next one goes on from the first.
    assert Checkpoint.load(root, "audit_events", first, advance=False).state == {"offset": 1}
    fresh = Checkpoint.load(root, "audit_events", "", advance=False)
    assert (fresh.state, fresh.problem, fresh.known) == ({}, None, False)


def test_nothing_is_written_unless_it_is_to_go_on(root: str) -> None:
    assert Checkpoint.load(root, "audit_events", None, advance=False).save({"offset": 1}) is None
    assert not os.path.exists(root)


def test_a_token_whose_file_is_gone_is_a_problem_and_not_a_fresh_start(root: str) -> None:
    token = save(root, {"offset": 1})
    for name in files(root):
        os.unlink(os.path.join(root, "checkpoints", name))
    checkpoint = Checkpoint.load(root, "audit_events", token, advance=True)
    assert (checkpoint.state, checkpoint.known) == ({}, False)
    assert checkpoint.problem is not None
    assert "is missing" in checkpoint.problem
    again = checkpoint.save({"offset": 5})
    assert again is not None
    # The store must see that it follows what it has.
    assert again["after"] == token


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content[:-1] + b"x", lambda _c: b""])
def test_a_changed_file_is_a_problem(root: str, change: t.Callable[[bytes], bytes]) -> None:
    token = save(root, {"offset": 1})
    (file,) = (pathlib.Path(root, "checkpoints", name) for name in files(root))
    file.write_bytes(change(file.read_bytes()))
    problem = Checkpoint.load(root, "audit_events", token, advance=False).problem
    assert problem is not None
    assert "was changed after it was written" in problem


def test_a_link_in_place_of_the_file_is_a_problem_and_not_followed(root: str, tmp_path: pathlib.Path) -> None:
    token = save(root, {"offset": 1})
    (file,) = (pathlib.Path(root, "checkpoints", name) for name in files(root))
    file.rename(tmp_path / "moved")
    file.symlink_to(tmp_path / "moved")
    problem = Checkpoint.load(root, "audit_events", token, advance=False).problem
    assert problem is not None
    assert "not a regular file" in problem


def test_the_file_of_another_reader_is_none_of_this_one(root: str) -> None:
    token = save(root, {"offset": 1}, name="sign_ins")
    assert Checkpoint.load(root, "audit_events", token, advance=False).problem is not None
    assert Checkpoint.load(root, "sign_ins", token, advance=False).state == {"offset": 1}


@pytest.mark.parametrize("token", ["../../../etc/shadow", "a" * 81, "0" * 16 + "-" + "g" * 64])
def test_what_is_no_token_is_refused(root: str, token: str) -> None:
    with pytest.raises(HostError, match="is invalid"):
        Checkpoint.load(root, "audit_events", token, advance=False)


def test_few_files_stay_and_the_confirmed_one_always(root: str) -> None:
    confirmed = save(root, {"offset": 0})
    for number in range(10):
        age(root, 10)
        newest = save(root, {"offset": number + 1}, token=confirmed)
    assert len(files(root)) <= 4
    assert Checkpoint.load(root, "audit_events", confirmed, advance=False).state == {"offset": 0}
    assert Checkpoint.load(root, "audit_events", newest, advance=False).state == {"offset": 10}


def test_another_controller_s_files_stay(root: str) -> None:
    theirs = save(root, {"offset": 7})
    other_reader = save(root, {"offset": 8}, name="sign_ins")
    token = None
    for number in range(10):
        age(root, 10)
        token = save(root, {"offset": number}, token=token)
    assert Checkpoint.load(root, "audit_events", theirs, advance=False).state == {"offset": 7}
    assert Checkpoint.load(root, "sign_ins", other_reader, advance=False).state == {"offset": 8}


def test_first_runs_that_are_never_recorded_do_not_pile_up(root: str) -> None:
    for number in range(30):
        save(root, {"offset": number})
        age(root, 10)
    assert len(files(root)) <= 9
