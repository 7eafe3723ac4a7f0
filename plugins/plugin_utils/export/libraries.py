# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python packages that single kinds of destinations need."""

from __future__ import annotations

import importlib.metadata

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnusableError


def require(package: str, lowest: int) -> None:
    """Raise UnusableError if a package is missing or too old. lowest: its lowest major version."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = "missing"
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < lowest:
        raise UnusableError(
            f"it needs {package} {lowest} or newer on the controller ({version}): pip install '{package}>={lowest}'"
        )
