# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source text of modules of the collection, for programs that are left on hosts."""

from __future__ import annotations

import importlib.util
import typing as t


def read(name: str) -> bytes:
    """Return the source text of a module, wherever it was loaded from: a directory, an archive, or by Ansible."""
    # Ansible's own loader returns bytes.
    source: str | bytes = t.cast(t.Any, importlib.util.find_spec(name)).loader.get_source(name) or b""
    return source if isinstance(source, bytes) else source.encode("utf-8")
