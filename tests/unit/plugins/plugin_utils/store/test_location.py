# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The URL of the store in commands that people read and paste: never with a password."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import location


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@db/findings",
        "postgresql://db/findings?password=secret",
        "postgresql:///findings?host=/run/postgresql&user=ada&password=secret",
        "postgresql://ada@db/findings?passfile=/home/ada/.pgpass",
    ],
)
def test_a_url_that_may_have_a_password_is_shown_nowhere(url: str) -> None:
    assert location.without_password(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada@db/findings",
        "postgresql:///findings?host=/run/postgresql",
        "sqlite:////srv/findings.db",
        "sqlite:////srv/a b/it's $(touch x)@home.db",
    ],
)
def test_any_other_url_is_shown_as_it_is(url: str) -> None:
    assert location.without_password(url) == url


def test_the_default_needs_no_url() -> None:
    assert location.without_password(None) is None
