# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory scans' content for the hosts: what signs mean, how known engines are recognised, and signatures."""

from __future__ import annotations

import importlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes

DIRECTORY = catalogue.CONTENT / "memory_scan"


def load(signature_paths: t.Sequence[str] = (), own_signatures: bool = True) -> str:
    """Return the content for the option ``_content`` of the module; raise ContentError for a file that is wrong.

    signature_paths: files, or directories of files, of the user's. own_signatures: whether the collection's are used.
    """
    return payload.packed(
        {
            "subtypes": {name: subtype.payload() for name, subtype in subtypes.load().items()},
            "engines": _engines(),
            "signatures": _signatures(signature_paths, own_signatures),
        }
    )


def _engines() -> t.Any:
    path = DIRECTORY / "engines.yml"
    return catalogue.read(path) if path.exists() else []


def _signatures(paths: t.Sequence[str], own: bool) -> t.Any:
    try:
        module = importlib.import_module(
            "ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.signatures"
        )
    except ModuleNotFoundError:
        return []
    return module.load(paths, own)
