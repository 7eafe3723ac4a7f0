# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that the host still has a kernel to start, where a package manager removed another one."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.package_proof import PackageProof
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

_PART = re.compile(rb"/boot/(?:vmlinuz|initrd\.img|initramfs|System\.map|config)-([\w.+~-]+?)(?:\.img)?\Z")
_KERNEL = b"vmlinuz-"
_RAM_DISKS = (b"/boot/initrd.img-%s", b"/boot/initramfs-%s.img", b"/boot/initrd-%s")
_MOST_KERNELS = 32


def kernel_that_remains(path: bytes, timestamp: float, manager: str, proof: PackageProof) -> Owned | None:
    """Return the package of another kernel that can be started, where ``path`` belonged to one; else None."""
    part = _PART.match(path)
    if part is None or part.group(1) == os.fsencode(os.uname().release):
        return None
    for version in _versions(proof):
        if version != part.group(1) and _has_ram_disk(version, proof):
            kernel = proof.genuine(b"/boot/" + _KERNEL + version, timestamp, manager)
            if kernel is not None:
                return kernel
    return None


def _versions(proof: PackageProof) -> t.Iterator[bytes]:
    try:
        names = sorted(os.listdir(proof.place(b"/boot")), reverse=True)
    except OSError:
        return
    kernels = [name for name in names if name.startswith(_KERNEL)]
    for name in kernels[:_MOST_KERNELS]:
        yield name[len(_KERNEL) :]


def _has_ram_disk(version: bytes, proof: PackageProof) -> bool:
    places = (proof.place(pattern % version) for pattern in _RAM_DISKS)
    return any(os.path.isfile(place) and os.path.getsize(place) > 0 for place in places)
