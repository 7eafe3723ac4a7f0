# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a path or name stay the same when the next version comes."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import steady


@pytest.mark.parametrize(
    ("path", "own", "directory", "same"),
    [
        ("/opt/shop/bin/shopd", "/opt/shop", "/opt/shop/bin", "/opt/shop/bin/shopd"),
        ("/opt/shop/releases/1.4.2/bin/shopd", "/opt/shop", "/opt/shop/releases", "/opt/shop/releases/*/bin/shopd"),
        ("/srv/app/2026-01-31/run", "/srv/app", "/srv/app", "/srv/app/*/run"),
        ("/srv/app/deadbeef01/run", "/srv/app", "/srv/app", "/srv/app/*/run"),
        ("/opt/jdk-17.0.2/bin/java", "/opt/jdk-17.0.2", "/opt/jdk-17.0.2/bin", "/opt/*/bin/java"),
        ("/usr/local/tool/bin/x", "/usr/local/tool", "/usr/local/tool/bin", "/usr/local/tool/bin/x"),
        ("/usr/local/bin/x", "", "/usr/local/bin", "/usr/local/bin/x"),
        ("/opt/x", "", "/opt", "/opt/x"),
        ("/opt/.x/y", "", "/opt/.x", "/opt/.x/y"),
        ("/tmp/tmp8x2k1qz9/setup", "", "/tmp/tmp8x2k1qz9", "/tmp/*/setup"),
    ],
)
def test_paths(path: str, own: str, directory: str, same: str) -> None:
    assert (steady.own_directory(path), steady.steady_directory(path), steady.steady_path(path)) == (
        own,
        directory,
        same,
    )


@pytest.mark.parametrize(
    ("name", "same"), [("postgresql-15", "postgresql-#"), ("php8.2-fpm", "php#-fpm"), ("nginx", "nginx")]
)
def test_names(name: str, same: str) -> None:
    assert steady.steady_name(name) == same
    assert steady.basename(f"/usr/sbin/{name}") == same


def test_names_that_no_file_has_are_not_searched() -> None:
    assert steady.is_version("a-1" + "-1" * 500)
    assert not steady.is_version("a" + "-1" * 10_000)
    assert not steady.is_version("-1" * 10_000 + "!")
