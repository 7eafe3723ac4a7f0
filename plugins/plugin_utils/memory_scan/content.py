# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory scans' content for the hosts: what signs mean, how known engines are recognised, and signatures."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import signatures, subtypes

DIRECTORY = catalogue.CONTENT / "memory_scan"


class Content(t.NamedTuple):
    """packed: for the option ``_content`` of the module. problems: a sentence for each signature that isn't in it."""

    packed: str
    problems: list[str]


def load(signature_paths: t.Sequence[str] = (), own_signatures: bool = True) -> str:
    """Return the content for the option ``_content`` of the module; raise ContentError for a file that is wrong."""
    return compiled(signature_paths, own_signatures).packed


def compiled(signature_paths: t.Sequence[str] = (), own_signatures: bool = True) -> Content:
    """Return the content, and what of the user's can't be used; raise ContentError for a file that is wrong.

    signature_paths: files, or directories of files, of the user's. own_signatures: whether the collection's are used.
    """
    return _compiled(signature_paths, own_signatures) if signature_paths else _shipped(own_signatures)


@functools.lru_cache(maxsize=2)
def _shipped(own_signatures: bool) -> Content:
    """Return the collection's own content, which is the same for all hosts that a process looks at."""
    return _compiled((), own_signatures)


def _compiled(signature_paths: t.Sequence[str], own_signatures: bool) -> Content:
    loaded = signatures.load(signature_paths, own_signatures)
    packed = payload.packed(
        {
            "subtypes": {name: subtype.payload() for name, subtype in subtypes.load().items()},
            "engines": catalogue.read(DIRECTORY / "engines.yml"),
            "signatures": loaded.signatures,
        }
    )
    return Content(packed, loaded.problems)
