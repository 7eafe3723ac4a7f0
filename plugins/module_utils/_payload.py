# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``_content``: compiled content as one argument of a module."""

from __future__ import annotations

import base64
import binascii
import json
import typing as t
import zlib


def unpack(content: str) -> dict[str, t.Any]:
    """Return what ``plugin_utils/payload.py`` packed. Raises ValueError."""
    try:
        compiled = json.loads(_inflated(base64.b64decode(content, validate=True)).decode("utf-8", "surrogatepass"))
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError("the option _content is for the collection's own use: %s" % error) from error
    if not isinstance(compiled, dict):
        raise ValueError("the option _content is for the collection's own use")  # noqa: TRY004 - what callers catch for a damaged payload
    return compiled


def _inflated(packed: bytes) -> bytes:
    inflating = zlib.decompressobj()
    text = inflating.decompress(packed)
    if not inflating.eof or inflating.unused_data:
        raise ValueError("the compressed data are damaged or not complete")
    return text
