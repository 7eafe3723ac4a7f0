# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell engines that stopped from those that were removed, among the ones that earlier scans found.

An engine that was started by hand leaves no unit. Its containers go on without it, and whoever ends it must not resolve
its findings by that.
"""

from __future__ import annotations

import os
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import listeners

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

_UNIX = "unix://"
# The names of engines without a place of their own on the host.
IN_CONTAINER, ELSEWHERE = " in container ", " in another mount namespace"
_NUMBER = re.compile(r" \([0-9]+\)\Z")
_STOPPED = (
    "an earlier scan found this engine, and it does not run now; start it, or forget the host's docker_hardening "
    "findings if it was removed"
)
_NOT_SEEN = "an earlier scan found this engine, and this one could not look at every process"


def missing(
    known: t.Sequence[str], found: t.Iterable[str], root: Root, is_installed: bool, saw_all: bool
) -> t.Iterator[tuple[str, str]]:
    """Yield name and reason of each known engine that was not found and may still be there.

    known: printable names. found: names of the engines that were found. is_installed: whether a Docker Engine is.
    saw_all: whether all processes that may be engines were looked at.
    """
    names = {printable(name) for name in found}
    for name in dict.fromkeys(known):
        if name in names:
            continue
        if not saw_all:
            yield name, _NOT_SEEN
        elif not is_gone(name, root, is_installed):
            yield name, _STOPPED


def is_gone(name: str, root: Root, is_installed: bool) -> bool:
    """Say whether an engine that was not found does not exist any more. name: printable."""
    address = _NUMBER.sub("", name)
    if not address.startswith(_UNIX + "/") or IN_CONTAINER in address or ELSEWHERE in address:
        return True
    if address == listeners.MAIN_ADDRESS and not is_installed:
        return True
    try:
        directory = root.fact(posixpath.dirname(os.fsdecode(unprintable(address[len(_UNIX) :]))))
    except ValueError:
        return False
    return not directory.kind and directory.problem is None
