# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that only seem to be the system's, as something was mounted over the place of those for them alone.

Everybody can do so in a mount namespace of their own (unshare(1), "--mount --map-root-user"). The kernel then says of
the program that it is where the system's own is. ATT&CK T1564.013, T1036.005.
"""

from __future__ import annotations

import os

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import places, standing
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import (
    Surroundings,
    UnknownError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View


def sign(view: View, host: Host, around: Surroundings) -> Sign | None:
    """Return that a process's program lies over one of the system's; None for what a package has put there.

    Containers, and whatever else has a root directory of its own, have their own programs there.
    """
    process = view.process
    path = process.executable or b""
    if process.container is not None or not places.is_packaged(path):
        return None
    if not standing.elsewhere(process, around) or standing.is_hosts(process, around):
        return None
    try:
        point = around.mount_point(path, process.pid)
        if point in (b"/", b"/usr") or not _has_our_root(process.pid, around):
            return None
    except UnknownError as error:
        view.skip("the mount at the path of its executable: %s" % error)
        return None
    if _is_packaged(view, host, path):
        return None
    detail = "it runs %s, and that isn't the system's: something is mounted at %s" % (
        printable(path[:300]),
        printable(point[:300]),
    )
    unknown = host.owner(path) is not None and not host.has_digests(path)
    return Sign("covered_executable", detail, severity="low" if unknown else None)


def _has_our_root(pid: int, around: Surroundings) -> bool:
    own, others = around.status(b"/"), around.status(b"/", pid)
    return own is not None and others is not None and (own.st_dev, own.st_ino) == (others.st_dev, others.st_ino)


def _is_packaged(view: View, host: Host, path: bytes) -> bool:
    descriptor = view.open_executable()
    if descriptor is None:
        return False
    try:
        return host.as_packaged(path, descriptor) is not None
    finally:
        os.close(descriptor)
