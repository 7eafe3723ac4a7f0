# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sort of place a path is, as far as its name says."""

from __future__ import annotations

import posixpath
import re

# Everybody may write there, or it is gone with the next boot (file-hierarchy(7)).
_TEMPORARY = re.compile(rb"/(?:tmp|var/tmp|dev|proc|run/user|run/shm|run/lock|var/lock)/")
# What only root installs, by hand or with a package manager.
_SYSTEM = re.compile(
    rb"/(?:usr|bin|sbin|lib(?:32|64|x32)?|opt|snap|app|nix/store|gnu/store|var/lib/(?:snapd|flatpak|docker|rancher))/"
)
# Of these, package managers alone put something there.
_PACKAGED = re.compile(rb"/(?:usr/(?!local/)|bin/|sbin/|lib(?:32|64|x32)?/)")
# What makes programs of its own there: NixOS its set-uid wrappers.
_MADE = re.compile(rb"/run/wrappers/")
# Where the runtime of an AppImage mounts what it contains.
_APP_IMAGE = re.compile(rb"/tmp/\.mount_[^/]{1,64}/")
_HIDDEN = re.compile(rb"/(?:\.(?!mount_)[^/]|\s*/|[^/]*\s/)")
_NAMELESS = re.compile(rb".*/#\d+\Z", re.DOTALL)

MEMORY_FILE_SYSTEMS = frozenset(("tmpfs", "ramfs", "devtmpfs", "hugetlbfs"))


def is_temporary(path: bytes) -> bool:
    """Say whether what lies there is meant to be gone soon, and may be anybody's."""
    return bool(_TEMPORARY.match(path))


def is_system(path: bytes) -> bool:
    """Say whether only an administrator installs programs there."""
    return bool(_SYSTEM.match(path))


def is_packaged(path: bytes) -> bool:
    """Say whether programs there are a package manager's, as a rule."""
    return bool(_PACKAGED.match(path))


def is_made(path: bytes) -> bool:
    """Say whether the system itself puts programs there at each boot."""
    return bool(_MADE.match(path))


def is_app_image(path: bytes) -> bool:
    """Say whether it is where an AppImage is mounted while it runs; anybody can make a directory of such a name."""
    return bool(_APP_IMAGE.match(path))


def is_hidden(path: bytes) -> bool:
    """Say whether a directory on the way, or the file, isn't listed by ls(1), or looks like nothing in a listing."""
    return bool(_HIDDEN.search(path)) or posixpath.basename(path).strip(b". ") == b""


def is_hidden_system(path: bytes) -> bool:
    """Say whether it is hidden among what package managers install, where nothing is."""
    return is_packaged(path) and is_hidden(path)


def never_had_a_name(path: bytes) -> bool:
    """Say whether a deleted file's path is one that the kernel made up (O_TMPFILE of open(2))."""
    return bool(_NAMELESS.match(path))
