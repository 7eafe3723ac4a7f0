# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision about a control depends on all of its evidence, also on what is not listed."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _control


def digest(*items: dict[str, str], status: str = _control.MANUAL) -> str:
    return str(_control.control("cis_docker", "docker_x", "unix:///x", status, "x", items)["digest"])


@pytest.mark.parametrize("field", ["kind", "name", "detail"])
def test_the_end_of_a_long_text_counts(field: str) -> None:
    fields = {"kind": "container", "name": "web", "detail": "80/tcp"}
    first, second = (
        _control.item(**{**fields, field: "x" * 600 + end})  # type: ignore[arg-type]
        for end in ("443/tcp", "22/tcp")
    )
    assert digest(first) != digest(second)
    assert max(map(len, first.values())) <= 600 + len("443/tcp")
    if field != "kind":
        assert len(first[field]) == 500
        assert first[field].startswith("x" * 400)


def test_a_text_that_fits_stays() -> None:
    assert _control.item("file", "x" * 500, "y" * 500)["name"] == "x" * 500


def test_a_note_does_not_count() -> None:
    assert digest(_control.item("image", "a", "b", "1 day")) == digest(_control.item("image", "a", "b", "2 days"))


def test_more_items_than_are_listed_count() -> None:
    items = [_control.item("image", str(number)) for number in range(150)]
    assert digest(*items) != digest(*items[:-1], _control.item("image", "other"))
    assert digest(*items) == digest(*reversed(items))
    assert digest(*items) != digest(*items, status=_control.FAILED)
