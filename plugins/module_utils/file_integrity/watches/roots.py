# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roots of watches on this host: home directories in place of ``~/``, and links on the way to a path."""

from __future__ import annotations

import os
import posixpath
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import Root

# A passwd file beyond this isn't read further: 64 MiB is a million accounts.
_PASSWD_LIMIT = 64 << 20

# As the kernel does (path_resolution(7)): more links than this are a loop.
_MOST_LINKS = 40


def homes(passwd: bytes) -> list[str]:
    """Return the distinct home directories of a passwd file (passwd(5)), as globs that match exactly them."""
    directories: dict[str, None] = {}
    for line in passwd.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 7 and fields[5].startswith(b"/"):
            directories[globs.escaped(globs.to_text(posixpath.normpath(b"/" + fields[5].lstrip(b"/"))))] = None
    return list(directories)


def read_passwd() -> bytes:
    """Return the host's account file; OSError as it comes."""
    with open("/etc/passwd", "rb") as stream:
        # No more than there is: the whole limit would be allocated first.
        return stream.read(min(os.fstat(stream.fileno()).st_size, _PASSWD_LIMIT))


def resolve(watches: t.Sequence[Watch], home_directories: t.Sequence[str]) -> list[Root]:
    """Return where each watch begins, in a stable order and each once.

    A link of root (or of the account that runs this) on the way to a path becomes a root itself, so that redirecting
    it is noticed, and the path continues where it leads. Links of others are not followed: they could lead root
    anywhere.
    """
    roots: dict[Root, None] = {}
    for number, watch in enumerate(watches):
        for path in watch.paths:
            for glob in _expanded(path, home_directories):
                way, end = _followed(globs.components(glob))
                for link in way:
                    roots[Root(number, link, 0)] = None
                roots[Root(number, end, watch.recurse)] = None
    return list(roots)


def _expanded(path: str, home_directories: t.Sequence[str]) -> list[str]:
    if not path.startswith("~/"):
        return [path]
    return [home.rstrip("/") + path[1:] for home in home_directories]


def _followed(parts: tuple[str, ...]) -> tuple[list[str], str]:
    """Return the links on the way through the leading components without globs, and where the path really is."""
    links: list[str] = []
    pending = list(parts)
    done: list[str] = []
    while pending:
        part = pending.pop(0)
        if globs.has_special(part) and globs.escaped(_plain(part)) != part:
            return links, _joined([*done, part, *pending])
        done.append(part)
        target = _trusted_link(globs.to_bytes(_plain(_joined(done)))) if pending else None
        if target is None:
            continue
        links.append(_joined(done))
        if len(links) > _MOST_LINKS:
            break
        done.pop()
        if target.startswith("/"):
            done = []
        for step in reversed([step for step in target.split("/") if step not in ("", ".")]):
            pending.insert(0, step if step == ".." else globs.escaped(step))
        while ".." in pending:
            done, pending = _climbed(done, pending)
    return links, _joined([*done, *pending])


def _climbed(done: list[str], pending: list[str]) -> tuple[list[str], list[str]]:
    """Resolve the first ``..`` against the component before it."""
    at = pending.index("..")
    if at:
        return done, pending[: at - 1] + pending[at + 1 :]
    return done[:-1], pending[1:]


def _plain(glob: str) -> str:
    """Return the text that a glob made by ``escaped`` matches."""
    return glob.replace("[*]", "*").replace("[?]", "?").replace("[[]", "[")


def _joined(parts: t.Sequence[str]) -> str:
    return "/" + "/".join(parts)


def _trusted_link(path: bytes) -> str | None:
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) and status.st_uid in (0, os.geteuid()):
            return globs.to_text(os.readlink(path))
    except OSError:
        return None
    return None
