# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying again ends with the first success, or with the last error."""

from __future__ import annotations

import contextlib

import pytest

from tests.support import waiting


class _Mirror:
    """Raises these errors, one at each call, and succeeds after them."""

    def __init__(self, *errors: Exception) -> None:
        self.attempts = 0
        self._errors = errors

    def __call__(self) -> None:
        self.attempts += 1
        if self.attempts <= len(self._errors):
            raise self._errors[self.attempts - 1]


@pytest.mark.parametrize(
    ("mirror", "attempts", "expected"),
    [
        (_Mirror(), 1, None),
        (_Mirror(OSError("1"), OSError("2")), 3, None),
        (_Mirror(OSError("1"), OSError("2"), OSError("3")), 3, OSError),
        (_Mirror(ValueError("1")), 1, ValueError),
    ],
)
def test_only_the_named_error_is_tried_again(mirror: _Mirror, attempts: int, expected: type[Exception] | None) -> None:
    with pytest.raises(expected, match=str(attempts)) if expected else contextlib.nullcontext():
        waiting.again(mirror, OSError, pause=0)
    assert mirror.attempts == attempts
