# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name the distribution of this host."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils import _platform


def distribution(files: _platform.Files | None = None) -> str:
    """Return the id and the major version of the distribution, such as "debian 12"; "linux" where no file says."""
    files = files or _platform.Files()
    release = _platform.parse_os_release(files.read("/etc/os-release") or files.read("/usr/lib/os-release") or "")
    identity = release.get("ID", "").lower() or "linux"
    major = release.get("VERSION_ID", "").partition(".")[0]
    return " ".join(filter(None, (identity, major)))
