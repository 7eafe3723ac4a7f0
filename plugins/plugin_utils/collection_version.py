# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's version, from the one file that has it: what is installed has MANIFEST.json, a checkout galaxy.yml.

See https://docs.ansible.com/projects/ansible/latest/dev_guide/collections_galaxy_meta.html.
"""

from __future__ import annotations

import functools
import json
import pathlib

import yaml

_COLLECTION = pathlib.Path(__file__).parents[2]
UNKNOWN = "unknown"


@functools.lru_cache(maxsize=1)
def version() -> str:
    """Return the version of the collection that runs; ``unknown`` where neither file is there."""
    return read(_COLLECTION)


def read(collection: pathlib.Path) -> str:
    """Return the version of a collection in a directory."""
    manifest, galaxy = collection / "MANIFEST.json", collection / "galaxy.yml"
    if manifest.is_file():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    if galaxy.is_file():
        return str(yaml.safe_load(galaxy.read_text(encoding="utf-8"))["version"])
    return UNKNOWN
