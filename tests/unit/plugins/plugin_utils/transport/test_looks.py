# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look that goes wrong takes nothing from the others, and says what it was."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest

from tests.unit.plugins.plugin_utils.transport.hosts import Host, look

_MEMORY = 64 << 20


def _gone(pid: int) -> bool:
    return not pathlib.Path(f"/proc/{pid}").exists()


def test_each_result_is_what_the_module_would_return(host: Host) -> None:
    answers = host.ask(
        look("fine", params={"a": [1, None]}, check_mode=True),
        look("fine", id="diff", diff=True),
        look("misused"),
        look("hostless"),
        look("warned"),
        facts="faulty:facts",
    )

    fine = answers.looks["fine"]
    assert (fine["params"], fine["check_mode"], "diff" in fine) == ({"a": [1, None]}, True, False)
    assert answers.looks["diff"]["diff"] == {"before": "", "after": ""}
    assert answers.looks["misused"] == {"failed": True, "msg": "the option is wrong", "usage_error": True}
    assert answers.looks["hostless"] == {"failed": True, "msg": "there is nothing to look at"}
    assert answers.looks["warned"] == {"notices": ["look here"]}
    assert answers.platform == {"system": os.uname().sysname}
    assert (answers.problem, list(answers.notes), list(answers.tampered)) == (None, [], [])


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("raises", {}, ["KeyError: 'what is missing'", "faulty.py:"]),
        ("exits", {}, ["SystemExit: 3", "faulty.py:"]),
        ("leaves", {}, ["status 4"]),
        ("hangs", {"seconds": 3}, ["did not end within 3 s", "it was at faulty.py:"]),
        ("hangs_and_says_where_in_pieces", {"seconds": 3}, ["did not end within 3 s", "it was at faulty.py:"]),
        ("eats", {}, ["limit of 64 MiB", "faulty.py:"]),
        ("crashes", {}, ["signal 11 (SIGSEGV)", "faulty.py:"]),
        ("is_killed", {}, ["signal 9 (SIGKILL)"]),
        ("answers_at_length", {}, ["larger than 16 MiB"]),
        ("answers_bytes", {}, ["TypeError"]),
        ("unknown", {}, ["AttributeError"]),
    ],
)
def test_a_failure_says_what_it_was_and_leaves_the_others_alone(
    host: Host, name: str, options: dict[str, t.Any], expected: list[str]
) -> None:
    memory = {"memory": _MEMORY} if name == "eats" else {}

    answers = host.ask(look("fine", id="before"), look(name, **options), look("fine", id="after"), **memory)

    assert answers.looks["before"]["pid"] != answers.looks["after"]["pid"]
    result = answers.looks[name]
    assert result["failed"] is True
    assert [part for part in expected if part not in result["msg"]] == [], result
    assert answers.problem is None


def test_a_look_without_code_of_its_own_is_only_its_own_failure(host: Host) -> None:
    answers = host.ask(look("fine"), look("other", entry="nowhere.collect:collect"))

    assert "ModuleNotFoundError" in answers.looks["other"]["msg"]
    assert "failed" not in answers.looks["fine"]


def test_what_a_look_prints_is_not_in_any_result(host: Host) -> None:
    answers = host.ask(look("prints"), look("fine"))

    assert answers.looks["prints"] == {"printed": True}
    assert "failed" not in answers.looks["fine"]
    assert "garbage" not in json.dumps(host.run.results)


def test_processes_that_a_look_leaves_are_ended(host: Host) -> None:
    answers = host.ask(look("detaches"), look("fine"))

    assert _gone(answers.looks["detaches"]["left"])
    assert "failed" not in answers.looks["fine"]
    assert list(answers.notes) == ["detaches: 1 process that it left behind was ended"]


def test_processes_of_a_look_that_is_ended_are_ended_with_it(host: Host, tmp_path: pathlib.Path) -> None:
    note = tmp_path / "pid"

    answers = host.ask(look("starts_and_hangs", params={"note": str(note)}, seconds=4), look("fine"))

    assert "did not end within 4 s" in answers.looks["starts_and_hangs"]["msg"]
    assert _gone(int(note.read_text(encoding="ascii")))
    assert "failed" not in answers.looks["fine"]


def test_the_time_limit_of_all_looks_keeps_what_was_answered_before(host: Host) -> None:
    answers = host.ask(look("fine"), look("hangs"), look("fine", id="late"), seconds=6)

    assert "failed" not in answers.looks["fine"]
    assert "did not end within" in answers.looks["hangs"]["msg"]
    assert "time limit" in answers.looks["late"]["msg"]


def test_no_text_gets_out_of_the_answer(host: Host) -> None:
    answers = host.ask(look("answers_oddly"))

    assert answers.looks["answers_oddly"]["odd"].startswith("\udcff\u2028\u202e\x00")


@pytest.mark.parametrize("text", ['"""', '\\"""\nraise SystemExit', "syslog.LOG_USER", "\udcff\x00\u2028'''\\"])
def test_no_text_gets_out_of_the_question(host: Host, text: str) -> None:
    answers = host.ask(look("fine", params={text: [text]}, content={"rules": text}))

    assert answers.looks["fine"]["params"] == {text: [text], "rules": text}


def test_looks_do_not_see_each_other_s_content(host: Host) -> None:
    answers = host.ask(look("fine", content={"rules": "mine"}), look("fine", id="other"))

    assert answers.looks["fine"]["params"] == {"rules": "mine"}
    assert answers.looks["other"]["params"] == {}
