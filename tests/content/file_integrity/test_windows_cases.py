# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert that only Windows hosts raise: what raises it, and what looks alike and must not."""

from __future__ import annotations

import pytest

from tests.content.file_integrity import windows_harness
from tests.support.windows import toolchain

pytestmark = pytest.mark.requires(*toolchain.MONO)

ALL = windows_harness.load()


@pytest.mark.parametrize("case", ALL, ids=[case.title for case in ALL])
def test_a_case(case: windows_harness.Case) -> None:
    verdict = windows_harness.verdicts()[case.title]
    assert verdict["becomes"] == case.becomes, verdict
    if case.severity is not None:
        assert verdict["severity"] == case.severity, verdict
    for text in case.fields.get("says", ()):
        assert text in verdict["message"]


def test_no_two_cases_have_one_title() -> None:
    assert len({case.title for case in ALL}) == len(ALL)
