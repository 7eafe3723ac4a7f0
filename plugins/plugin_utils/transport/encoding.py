# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack questions for the module ``host_scan``, and unpack what it returns. A host's answer is not trusted."""

from __future__ import annotations

import base64
import binascii
import json
import typing as t
import zlib

# Much more than all looks together return, and little enough that one host cannot fill the controller's memory with
# objects that take many times their text.
LARGEST = 32 << 20
_MOST_LINES = 500


class AnswerError(Exception):
    """A host's answer makes no sense."""


def packed(request: t.Mapping[str, t.Any]) -> str:
    """Return a question as one text without any character that means something to Python or a shell."""
    return base64.b64encode(zlib.compress(json.dumps(request).encode("ascii"), 6)).decode("ascii")


def unpacked(answer: t.Any) -> list[dict[str, t.Any]]:
    """Return the lines of an answer; the last one is left out if it was cut off. Raises AnswerError."""
    try:
        # What is beyond the limits is left out, as if the scan had ended there, and what came before counts.
        data = zlib.decompressobj().decompress(base64.b64decode(answer, validate=True), LARGEST)
        # What follows the last line feed was cut off.
        lines = [json.loads(text) for text in data.split(b"\n", _MOST_LINES)[:-1]]
    except (TypeError, ValueError, RecursionError, binascii.Error, zlib.error) as error:
        raise AnswerError(f"it can't be read: {error}") from None
    if not all(isinstance(line, dict) for line in lines):
        raise AnswerError("it holds something else than objects")
    return lines
