# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: the same scenarios in Python and C#, each on files of its own. Also, each reads what the other wrote."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import typing as t
import zlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint

from tests.support.windows import toolchain
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

HERE = pathlib.Path(__file__).parent
CASES: list[dict[str, t.Any]] = json.loads((HERE / "contracts.json").read_text(encoding="utf-8"))["checkpoint"]
EPOCH = 1_767_225_600  # 2026-01-01, from which the seconds of a step count
TOO_LARGE = 64 * 1024 * 1024 + 1


@functools.cache
def program() -> driver.Driver:
    sources = [HERE / "PlainStateFiles.cs", HERE / "StateScript.cs"]
    return driver.Driver("contracts.Checkpoint", "contracts.Errors", "contracts.State", sources=sources)


class Scenario:
    """The steps of a scenario in Python; ``$1`` stands for the token of the first checkpoint that was saved."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.tokens: list[str] = []
        self.checkpoint: Checkpoint | None = None

    def run(self, steps: t.Sequence[t.Sequence[t.Any]]) -> list[t.Any]:
        """Return the records of the steps that make one."""
        records = []
        for kind, *arguments in steps:
            if kind in ("load", "save", "files"):
                records.append(getattr(self, kind)(*arguments))
            else:
                self.change(kind, *arguments)
        return records

    def token(self, label: str | None) -> str | None:
        return self.tokens[int(label[1:]) - 1] if label and label.startswith("$") else label

    def label(self, token: str | None) -> str | None:
        return f"${self.tokens.index(token) + 1}" if token in self.tokens else token

    def load(self, name: str, token: str | None, advance: bool) -> dict[str, t.Any]:
        try:
            self.checkpoint = Checkpoint.load(str(self.root), name, self.token(token), advance)
        except (HostError, ValueError) as error:
            return {"error": str(error)}
        loaded = self.checkpoint
        return {"known": loaded.known, "state": loaded.state, "problem": loaded.problem}

    def save(self, state: dict[str, t.Any]) -> dict[str, t.Any] | None:
        assert self.checkpoint is not None
        saved = self.checkpoint.save(state)
        if saved is None:
            return None
        token, after = saved["token"], saved["after"]
        self.tokens.append(token)
        same = token[:16] == after[:16] if after else None
        return {**saved, "token": self.label(token), "after": self.label(after), "same_lineage": same}

    def files(self) -> list[str | None]:
        names = sorted(file.name for file in (self.root / "checkpoints").iterdir() if file.name != "lock")
        return sorted(str(self.label(name.partition("-")[2])) if name[7:] in self.tokens else name for name in names)

    def change(self, kind: str, name: str, token: str, seconds: int = 0) -> None:
        file = self.root / "checkpoints" / f"{name}-{self.token(token)}"
        if kind == "remove":
            file.unlink()
        elif kind == "add":
            file.write_text("x", encoding="utf-8")
        elif kind == "at":
            os.utime(file, (EPOCH + seconds, EPOCH + seconds))
        elif kind == "damage":
            file.write_bytes(file.read_bytes()[:-1] + b"\0")
        else:
            os.truncate(file, TOO_LARGE if kind == "grow" else file.stat().st_size - 1)


def check(case: dict[str, t.Any], records: list[t.Any]) -> None:
    """Compare the records of a scenario; of texts that name a path, what is expected is part of it."""
    if "only_last" in case:
        assert records[-1] == case["only_last"]
        return
    assert len(records) == len(case["records"])
    for record, expected in zip(records, case["records"], strict=True):
        for field in ("problem", "error"):
            if isinstance(expected, dict) and expected.get(field):
                assert expected[field] in record[field]
                record = {**record, field: expected[field]}
        assert record == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_python_keeps(case: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    check(case, Scenario(tmp_path / "state").run(case["steps"]))


def test_csharp_keeps_the_same(tmp_path: pathlib.Path) -> None:
    scenarios = enumerate(CASES)
    calls = [driver.call("StateScript.Checkpoints", str(tmp_path / str(n)), case["steps"]) for n, case in scenarios]
    outcomes = program().run(calls)
    for case, outcome in zip(CASES, outcomes, strict=True):
        assert outcome.error is None, (case["name"], outcome.message)
        check(case, outcome.result)


def test_each_reads_what_the_other_wrote(tmp_path: pathlib.Path) -> None:
    state = {"channels": {"Security": 9007199254740993}, "when": 1700000000.25, "name": "\ud800é"}
    steps = [["load", "reader", None, True], ["save", state]]
    program().call("StateScript.Checkpoints", str(tmp_path), steps)
    root = tmp_path / "C" / "state"
    root.chmod(0o700)
    (root / "checkpoints").chmod(0o700)
    (written,) = (root / "checkpoints").glob("reader-*")
    token = written.name.partition("-")[2]
    assert Checkpoint.load(str(root), "reader", token, False).state == state
    text = json.dumps(state, sort_keys=True, separators=(",", ":")).encode()
    assert zlib.decompress(written.read_bytes().partition(b"\n")[2]) == text
    assert hashlib.sha256(written.read_bytes()).hexdigest() == token.partition("-")[2]

    saved = Checkpoint.load(str(root), "reader", token, True).save({"more": state})
    assert saved is not None
    (loaded,) = program().call("StateScript.Checkpoints", str(tmp_path), [["load", "reader", saved["token"], False]])
    assert loaded == {"known": True, "state": {"more": state}, "problem": None}
