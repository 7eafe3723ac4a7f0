# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the files by which apt and dpkg run our hook on this host, or remove them."""

from __future__ import annotations

import contextlib
import glob
import os
import stat

from ansible_collections.bulwark.servers.plugins.module_utils import _atomic_file
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory

# The hook goes to the host as part of this module, which makes its archive of what came.
# pylint: disable-next=unused-import
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    hook,  # noqa: F401 - see above
    hook_files,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.hook_files import File

# Neither apt nor dpkg reads a file whose name begins with a dot.
_TEMPORARY = ".bulwark-new"
_RPM_DATABASES = ("var/lib/rpm", "usr/lib/sysimage/rpm")
_RPM_PLUGINS = ("usr/lib*/rpm-plugins/fapolicyd.so", "usr/lib/*/rpm-plugins/fapolicyd.so")


def warnings(root: str = "/") -> list[str]:
    """Return a sentence if upgrades on this host depend on something that is missing. root: only tests name another."""
    if os.path.exists(os.path.join(root, "var/lib/dpkg/status")):
        return []
    if not any(os.path.isdir(os.path.join(root, path)) for path in _RPM_DATABASES):
        return ["no package manager is on this host that fapolicyd can work with: upgrade in a maintenance window"]
    if not any(glob.glob(os.path.join(root, path)) for path in _RPM_PLUGINS):
        return ["rpm-plugin-fapolicyd is not installed: upgrades can fail half-way, so install it before"]
    return []


def paths(where: StateDirectory) -> list[str]:
    """Return the paths of the files, those that package managers read first."""
    return sorted(_wanted(where), key=lambda path: path.startswith(where.path))


def differ(where: StateDirectory) -> bool:
    """Say whether a file is not as it should be."""
    return any(not _is_as_wanted(path, file) for path, file in _wanted(where).items())


def deploy(where: StateDirectory) -> None:
    """Write the files, the program first, so that nothing calls one that is not there. Raises OSError, StateError."""
    for path, file in _wanted(where).items():
        if not _is_as_wanted(path, file):
            temporary = os.path.join(os.path.dirname(path), _TEMPORARY)
            _atomic_file.write(path, file.content, file.mode, temporary)


def remove(where: StateDirectory | None) -> bool:
    """Remove the files, the program last; return whether any was there. Raises OSError."""
    paths = list(hook_files.PATHS)
    if where is not None:
        paths.append(os.path.join(where.path, hook_files.PROGRAM))
    removed = [path for path in paths if _removed(path)]
    return bool(removed)


def _wanted(where: StateDirectory) -> dict[str, File]:
    """Return the files for the package managers of this host, by their paths."""
    files = hook_files.files(os.path.dirname(where.path))
    return {path: file for path, file in files.items() if os.path.isdir(os.path.dirname(path))}


def _is_as_wanted(path: str, file: File) -> bool:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and status.st_uid == 0 and stat.S_IMODE(status.st_mode) == file.mode:
            with open(path, "rb") as stream:
                return stream.read(len(file.content) + 1) == file.content
    return False


def _removed(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
