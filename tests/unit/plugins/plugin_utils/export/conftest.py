# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SQLite store for the tests of the export, and a kind of destination that only they have."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.unit.plugins.plugin_utils.export import kind as test_kind


@pytest.fixture
def url(tmp_path: pathlib.Path) -> str:
    return f"sqlite:///{tmp_path}/state/findings.db"


@pytest.fixture
def store(url: str) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(url)) as opened:
        yield opened


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> test_kind.Kind:
    return test_kind.register(monkeypatch)
