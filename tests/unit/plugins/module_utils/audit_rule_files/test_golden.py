# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule of go-libaudit's golden files becomes the same bytes that auditctl gave the kernel, and back again."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import rule as rules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text

from tests.support import paths

pytestmark = pytest.mark.requires("data:go-libaudit")

_FOLDER = paths.data("go-libaudit") / "rule" / "testdata"
# The golden files were made on such machines, whatever their first line says.
HOST = text.Host("x86_64", is_directory=set().__contains__)


def _golden() -> list[tuple[str, bytes]]:
    files = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(_FOLDER.glob("*.yml")))
    return [(entry["flags"], entry["bytes"]) for content in files for entry in content["rules"]]


def test_there_are_as_many_as_there_were() -> None:
    assert len(_golden()) == 126


@pytest.mark.parametrize(("line", "golden"), _golden() if _FOLDER.is_dir() else [], ids=lambda value: str(value)[:60])
def test_a_rule_becomes_the_same_bytes(line: str, golden: bytes) -> None:
    packed = text.parse(line, HOST).pack()
    # What was captured from netlink is padded to words; what go-libaudit made itself isn't.
    assert golden in (packed, packed + b"\0" * (-len(packed) % 4))


@pytest.mark.parametrize(("line", "golden"), _golden() if _FOLDER.is_dir() else [], ids=lambda value: str(value)[:60])
def test_what_is_shown_of_a_rule_means_the_same(line: str, golden: bytes) -> None:
    del line
    rule = rules.unpack(golden)
    assert text.parse(text.show(rule, "x86_64"), HOST) == rule


def test_a_watch_of_a_directory_is_one_of_what_is_in_it() -> None:
    there: t.Callable[[str], bool] = {"/etc/audit": True}.get  # type: ignore[assignment]
    host = text.Host("x86_64", is_directory=there)
    assert text.show(text.parse("-w /etc/audit -p wa", host), "x86_64") == "-a always,exit -F dir=/etc/audit -F perm=wa"
    assert text.show(text.parse("-w /etc/passwd", host), "x86_64") == "-a always,exit -F path=/etc/passwd -F perm=rwxa"
