# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan compares after it made sure of the baseline, where there is one to compare with.

tests/unit/plugins/action/test_file_integrity_scan.py has it with real files.
"""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import apply, check, collect

_BASELINE = {"exists": True, "digest": "a" * 64}
_COMPARED = {"detections": [], "coverage": [], "baseline": {"exists": True, "digest": "b" * 64}}


def _checked(monkeypatch: pytest.MonkeyPatch, applied: dict[str, t.Any], compare: bool) -> dict[str, t.Any]:
    monkeypatch.setattr(apply, "apply", lambda _params, _check_mode: {"baseline": _BASELINE, **applied})
    monkeypatch.setattr(collect, "collect", lambda _params, _check_mode: dict(_COMPARED))
    return check.check({"_compare": compare}, False)


@pytest.mark.parametrize("applied", [{"created": False}, {"changed": True}, {"created": False, "detections": [{}]}])
def test_a_baseline_that_is_in_its_place_is_compared(
    monkeypatch: pytest.MonkeyPatch, applied: dict[str, t.Any]
) -> None:
    result = _checked(monkeypatch, applied, compare=True)
    assert result == {**applied, "comparison": _COMPARED, "baseline": _COMPARED["baseline"]}


@pytest.mark.parametrize(
    "applied", [{"created": True}, {"created": False, "staged_digest": "c" * 64}, {"failed": True, "msg": "locked"}]
)
def test_one_that_is_none_yet_or_cannot_be_made_is_not_compared(
    monkeypatch: pytest.MonkeyPatch, applied: dict[str, t.Any]
) -> None:
    assert _checked(monkeypatch, applied, compare=True) == {"baseline": _BASELINE, **applied}


def test_nothing_is_compared_that_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _checked(monkeypatch, {"created": False}, compare=False) == {"baseline": _BASELINE, "created": False}
