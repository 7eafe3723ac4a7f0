# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store


@pytest.fixture
def store_url(tmp_path: pathlib.Path) -> str:
    """Return the URL of a store that nothing has opened yet; the tests against PostgreSQL have another of this name."""
    return f"sqlite:///{tmp_path}/state/findings.db"


@pytest.fixture
def store(store_url: str) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(store_url)) as opened:
        yield opened
