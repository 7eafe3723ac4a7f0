# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The book of a host and that of the store are brought together."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import books
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store


def test_a_host_that_claims_any_number_of_openings_makes_no_more_findings_than_people_can_read(
    tmp_path: pathlib.Path,
) -> None:
    url = f"sqlite:///{tmp_path}/findings.db"
    with contextlib.closing(Store.open(url)):
        pass
    fields: dict[str, t.Any] = {"ports": ["22"], "protocol": "tcp", "sources": ["192.0.2.7"], "seconds_left": 60}
    grants = [{"id": f"grant-{number}", **fields} for number in range(1500)]
    result = {"coverage": [{"scope": "policy", "status": "checked"}], "grants": grants, "history": []}
    compared = books.compared(result, "web1", url, 1000.0, is_check=False)
    assert len(compared.detections) == 1000
    assert compared.coverage["status"] == "partial"
    assert compared.coverage["skipped"] == [
        {"subject": "500 more openings", "reason": "they differ from the requests, too"}
    ]
