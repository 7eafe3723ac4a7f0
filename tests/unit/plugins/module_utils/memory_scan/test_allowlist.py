# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people allow is no finding: what could be legitimate, and what they have named."""

from __future__ import annotations

import datetime as dt

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import allowlist
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.allowlist import Identity
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.content import Content
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import Allowed
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content as compiled

from tests.unit.plugins.module_utils.memory_scan._processes import process

BEHAVIOR, TECHNIQUE = Sign("executable_replaced", "x"), Sign("memfd_executable", "x")
DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def content() -> Content:
    return Content(compiled.load())


def entry(sha256: str | None = None, package: str | None = None, path: str | None = None, *subtypes: str) -> Allowed:
    return Allowed(sha256, package, path, subtypes, "ours", dt.date(2030, 1, 1))


@pytest.mark.parametrize(
    ("entries", "left"),
    [
        ([], [BEHAVIOR, TECHNIQUE]),
        ([entry(DIGEST)], [TECHNIQUE]),
        ([entry("00" * 32)], [BEHAVIOR, TECHNIQUE]),
        ([entry(None, "acme")], [TECHNIQUE]),
        ([entry(None, "ac*")], [TECHNIQUE]),
        ([entry(None, "acm")], [BEHAVIOR, TECHNIQUE]),
        ([entry(DIGEST, "other")], [BEHAVIOR, TECHNIQUE]),
        ([entry(DIGEST, None, "/opt/acme/host")], [TECHNIQUE]),
        ([entry(DIGEST, None, "/opt/acme/other")], [BEHAVIOR, TECHNIQUE]),
        ([entry(DIGEST, None, None, "memfd_executable")], [BEHAVIOR]),
        ([entry(DIGEST), entry(DIGEST, None, None, "memfd_executable")], []),
    ],
)
def test_an_entry_covers_what_it_names(content: Content, entries: list[Allowed], left: list[Sign]) -> None:
    identity = Identity(lambda: DIGEST, lambda: "acme 1.0")
    one = process("/opt/acme/host")
    counting, allowed = allowlist.split(entries, content, one, [BEHAVIOR, TECHNIQUE], identity)
    assert counting == left
    assert len(allowed) == 2 - len(left)


def test_what_is_not_known_of_an_executable_allows_nothing(content: Content) -> None:
    unknown = Identity(lambda: None, lambda: None)
    for allowed in (entry(DIGEST), entry(None, "*")):
        assert allowlist.split([allowed], content, process("/x"), [BEHAVIOR], unknown) == ([BEHAVIOR], [])
