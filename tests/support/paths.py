# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: the checkout, what is built in it, and the cache that outlives it."""

from __future__ import annotations

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
# PYTHONPYCACHEPREFIX of tests that import the collection in a new process each time.
BYTECODE = BUILD / "cache" / "bytecode"

# Put on ANSIBLE_COLLECTIONS_PATH; bulwark.servers in it is a symbolic link to the checkout.
COLLECTIONS = BUILD / "collections"


def cache() -> pathlib.Path:
    """Return the directory of what is built once and kept between checkouts: images, controllers, venvs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "bulwark-servers"


def data(folder: str = "") -> pathlib.Path:
    """Return the ground-truth data outside the repository, or one folder of it; it may not exist.

    ``BULWARK_TEST_DATA`` names it, ``../shared/data`` beside the checkout is the default.
    """
    base = os.environ.get("BULWARK_TEST_DATA")
    return (pathlib.Path(base) if base else ROOT.parent / "shared" / "data") / folder


def link_collection() -> None:
    """Make the checkout importable as ``ansible_collections.bulwark.servers``, wherever it lies."""
    link = COLLECTIONS / "ansible_collections" / "bulwark" / "servers"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.resolve() == ROOT:
        return
    # Made aside and renamed over: two test sessions at once must never see it missing.
    aside = link.with_name(f".servers.{os.getpid()}")
    aside.symlink_to(ROOT, target_is_directory=True)
    aside.replace(link)
