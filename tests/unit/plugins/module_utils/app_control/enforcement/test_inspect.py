# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust that others gave is found, however they wrote it."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.inspect import foreign_trust
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import daemon

_DIGEST = "a" * 64


def test_no_form_of_a_line_hides_trust(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "DIRECTORY", str(tmp_path))
    (tmp_path / "trust.d").mkdir()
    (tmp_path / "trust.d" / "bulwark.trust").write_text("/ours 1 %s\n" % _DIGEST)
    (tmp_path / "fapolicyd.trust").write_text("/opt/a 12x %s\n" % _DIGEST)
    (tmp_path / "trust.d" / "late").write_text("#\n" * 100_001 + "/opt/b 1 %s\n" % _DIGEST)
    scope = ScopeCoverage("enforcement")
    assert foreign_trust(None, 0.0, scope) == {"fapolicyd.trust": ["/opt/a"], "trust.d/late": ["/opt/b"]}
    assert scope.entry()["skipped"] == []


def test_trust_that_is_too_long_to_be_compared_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "DIRECTORY", str(tmp_path))
    (tmp_path / "fapolicyd.trust").write_text("".join("/%d 1 %s\n" % (number, _DIGEST) for number in range(100_001)))
    scope = ScopeCoverage("enforcement")
    assert len(foreign_trust(None, 0.0, scope)["fapolicyd.trust"]) == 100_000
    assert scope.entry()["skipped"][0]["subject"] == "fapolicyd.trust"
