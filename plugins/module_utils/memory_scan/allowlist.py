# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people have said is theirs: signs of executables that they know, by digest or package, until a date.

An entry without subtypes is about what a process does that could be legitimate. Evidence of an attack technique, and
named toolkits, have to be named by their subtypes: so an allowed program into which code was injected is still found.
"""

from __future__ import annotations

import fnmatch
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.content import Content
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import Allowed


class Identity(t.NamedTuple):
    """What an executable is. Both are asked for when an entry needs them; None where it isn't known.

    sha256: its digest. package: name and version of the package that ships just that.
    """

    sha256: t.Callable[[], str | None]
    package: t.Callable[[], str | None]


def split(
    entries: t.Sequence[Allowed], content: Content, process: Process, signs: t.Sequence[Sign], identity: Identity
) -> tuple[list[Sign], list[tuple[Allowed, Sign]]]:
    """Return the signs that count, and those that are allowed, each with the entry."""
    counting: list[Sign] = []
    allowed: list[tuple[Allowed, Sign]] = []
    for sign in signs:
        entry = _covering(entries, content, process, sign, identity)
        if entry is None:
            counting.append(sign)
        else:
            allowed.append((entry, sign))
    return counting, allowed


def _covering(
    entries: t.Sequence[Allowed], content: Content, process: Process, sign: Sign, identity: Identity
) -> Allowed | None:
    for entry in entries:
        named = sign.subtype in entry.subtypes if entry.subtypes else content.kind(sign) == "behavior"
        if named and _is_for(entry, process, identity):
            return entry
    return None


def _is_for(entry: Allowed, process: Process, identity: Identity) -> bool:
    if entry.path is not None and (process.executable is None or printable(process.executable) != entry.path):
        return False
    if entry.sha256 is not None and identity.sha256() != entry.sha256:
        return False
    if entry.package is None:
        return True
    package = identity.package()
    return package is not None and fnmatch.fnmatchcase(package.split(" ")[0], entry.package)
