# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test session needs: the collection importable by its own name, and the ``requires`` marker."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support import paths, require

paths.link_collection()
sys.path.insert(0, str(paths.COLLECTIONS))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(paths.COLLECTIONS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires(need, ...): skip, or fail in CI, unless tests.support.require is met")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        require(*marker.args)
