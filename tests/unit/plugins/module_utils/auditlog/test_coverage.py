# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the coverage says of logs that cannot be read in full, or not believed."""

from __future__ import annotations

import gzip
import os
import pathlib
import time
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import look as looking
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.options import look_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils import detections

NOBODY = 65534
_LINE = "type=DAEMON_START msg=audit(1700000000.1:1): op=start res=success\n"


def coverage(log: pathlib.Path) -> dict[str, t.Any]:
    params = {name: option.get("default") for name, option in look_spec().items()}
    given = {"state_dir": str(log.parent / "state"), "paths": [str(log)], "priority": "normal"}
    content = detections.load().payload
    found = looking.look({**params, **given, "_content": content, "_token": None, "_advance": False}, check_mode=True)
    (entry,) = found["coverage"]
    return t.cast("dict[str, t.Any]", entry)


@pytest.mark.requires("root")
def test_a_log_that_somebody_else_can_write_is_checked_partly(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(_LINE)
    assert coverage(log)["status"] == "checked"
    os.chown(log, NOBODY, NOBODY)
    entry = coverage(log)
    assert entry["status"] == "partial"
    reason = "it can be written by nobody, who may have changed what it says"
    assert entry["skipped"] == [{"subject": str(log), "reason": reason}]


@pytest.mark.parametrize(
    "content",
    [b"no gzip at all", gzip.compress(_LINE.replace(":1)", ":0)").encode())[:-6] + b"damage"],
    ids=["none", "damaged"],
)
def test_a_damaged_archive_is_said_in_words(tmp_path: pathlib.Path, content: bytes) -> None:
    log = tmp_path / "audit.log"
    log.write_text(_LINE)
    (tmp_path / "audit.log.1.gz").write_bytes(content)
    entry = coverage(log)
    assert entry["status"] == "partial"
    words = "its end in .gz says that it is compressed, but it is not, or it is damaged"
    assert entry["skipped"] == [{"subject": f"{log}.1.gz", "reason": f"cannot be read to its end: {words}"}]


def test_what_is_written_while_the_log_is_read_is_not_missing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "audit.log"
    now = int(time.time())
    log.write_text("".join(f"type=USER msg=audit({now}.000:{number}): pid=1\n" for number in (1, 2, 4)))
    clock, look_for = [now], looking.Follower.open

    def slowly(follower: looking.Follower, paths: t.Sequence[str]) -> list[looking.LogFile]:
        files = look_for(follower, paths)
        clock[0] += 60
        return files

    monkeypatch.setattr(looking.Follower, "open", slowly)
    monkeypatch.setattr(looking, "time", types.SimpleNamespace(time=lambda: clock[0], monotonic=time.monotonic))
    assert coverage(log)["status"] == "checked"
    assert coverage(log)["status"] == "partial"
