# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as far as they stay the same: without versions, dates and digests, and the directories of own software."""

from __future__ import annotations

import posixpath
import re

# Own software has a directory of its own below these.
_ROOTS = ("/opt/", "/srv/", "/usr/local/")
# What everybody shares, so that it is nobody's own.
_SHARED = frozenset(
    (
        "bin", "sbin", "lib", "lib32", "lib64", "libexec", "share", "etc", "games", "include", "src", "man", "www",
        "ftp", "tmp", "local", "cache", "log",
    )
)  # fmt: skip
_VERSION = re.compile(
    r"""
    v?\d+([._+~-].*)?      # 12, v1.2, 2026-01-31
    | .*[._-]v?\d[\w.+~-]*   # app-1.2, build_17
    | [0-9a-f]{7,64}       # a digest
    """,
    re.VERBOSE,
)
# NAME_MAX of linux/limits.h, each byte shown as four characters at worst. A hostile host reports longer names, with
# which patterns take seconds.
LONGEST = 4 * 255
_DIGITS = re.compile(r"\d+([._]\d+)*")
_RANDOM = re.compile(r"(?=[^/]*\d)[0-9A-Za-z_]{8,}|[0-9a-f-]{12,}")


def is_version(part: str) -> bool:
    """Return whether a directory's name is of one version or build."""
    return len(part) <= LONGEST and _VERSION.fullmatch(part) is not None


def own_directory(path: str) -> str:
    """Return the directory of own software that a file is in, such as /opt/shop; "" for none."""
    for root in _ROOTS:
        if path.startswith(root):
            name, slash, _rest = path[len(root) :].partition("/")
            return root + name if slash and name and name not in _SHARED and not name.startswith(".") else ""
    return ""


def steady_directory(path: str) -> str:
    """Return the directory of a file as far as the next version has it, too: /opt/shop/releases."""
    parts: list[str] = []
    for number, part in enumerate(path.split("/")[:-1]):
        if number > 2 and is_version(part):
            break
        parts.append(part)
    return "/".join(parts)


def common_directory(directories: list[str]) -> str:
    """Return the deepest directory that has all of them, "" for the root."""
    return posixpath.commonpath(directories) if all(directories) else ""


def steady_path(path: str) -> str:
    """Return a path that is the same for each version and on each host, with * for the rest."""
    *above, name = path.split("/")
    parts = ["*" if is_version(part) or _RANDOM.fullmatch(part) else part for part in above]
    return "/".join([*parts, name])


def steady_name(name: str) -> str:
    """Return the name of a package or program without its version: postgresql-# for postgresql-15."""
    return _DIGITS.sub("#", name)


def basename(path: str) -> str:
    """Return the name of a program without its version."""
    return steady_name(path.rpartition("/")[2])
