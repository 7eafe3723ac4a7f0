# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts that no single change raises: they are about the baseline itself, or about how much changed."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import apply, collect, model, options
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import review
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan import results
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content as file_integrity

# Raised by tests/integration/file_integrity/test_mounts.py, with real mounts.
MOUNTS = ("fim_mounted_over", "fim_unmounted")

# Read by test_cases.py: the alerts that are proven here instead of with data.
PROVEN = frozenset(("fim_baseline_removed", "fim_baseline_tampered", "fim_changes_claimed", "fim_mass_change", *MOUNTS))


class Host:
    """A directory that is watched, and the state directory with its baseline."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.files = directory / "files"
        self.files.mkdir()
        self._state = directory / "state"
        self.baseline = self._state / "file_integrity" / "default.baseline"

    def keep(self) -> str:
        """Make the baseline and return the digest that seals it."""
        result = apply.apply(self._parameters(options.apply_spec()), False)
        digest = result["baseline"]["digest"]
        assert isinstance(digest, str)
        return digest

    def alerts(self, seals: list[str], max_changes: int = 1000) -> list[str]:
        """Compare, and return the alerts that are raised."""
        return [detection["alert"] for detection in self.detections(seals, max_changes)]

    def detections(self, seals: list[str], max_changes: int = 1000) -> list[dict[str, t.Any]]:
        parameters = self._parameters(options.collect_spec())
        parameters.update(_expected_digests=seals, max_changes=max_changes)
        found = collect.collect(parameters, False)["detections"]
        for detection in found:
            catalogue.load().alert(detection["alert"])
        return t.cast("list[dict[str, t.Any]]", found)

    def _parameters(self, spec: dict[str, dict[str, t.Any]]) -> dict[str, t.Any]:
        watch = {"name": "files", "paths": [str(self.files)], "filesystems": "all"}
        watches = file_integrity.merge_watches([], [], [watch])
        defaults = {name: field.get("default") for name, field in spec.items()}
        watches = [{"recurse": -1, "hashes": ["sha256"], **watch} for watch in watches]
        return {**defaults, "state_dir": str(self._state), "watches": watches, "priority": "normal", "workers": 1}


@pytest.fixture(name="host")
def _host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_a_baseline_as_it_was_sealed_raises_nothing(host: Host) -> None:
    seal = host.keep()
    assert host.alerts([seal]) == []


def test_a_baseline_that_was_edited(host: Host) -> None:
    (host.files / "a").write_text("a")
    seal = host.keep()
    data = bytearray(host.baseline.read_bytes())
    data[len(data) // 2] ^= 1
    host.baseline.write_bytes(data)
    assert host.alerts([seal]) == ["fim_baseline_tampered"]


def test_another_baseline_than_the_sealed_one(host: Host) -> None:
    host.keep()
    assert host.alerts(["0" * 64]) == ["fim_baseline_tampered"]


def test_a_baseline_that_was_removed(host: Host) -> None:
    seal = host.keep()
    host.baseline.unlink()
    assert host.alerts([seal]) == ["fim_baseline_removed"]


def test_no_baseline_and_no_seal_is_a_new_host(host: Host) -> None:
    assert host.alerts([]) == []


def test_more_changes_than_are_listed(host: Host) -> None:
    seal = host.keep()
    for number in range(5):
        (host.files / str(number)).write_text("new")
    assert sorted(host.alerts([seal], max_changes=4)) == ["fim_file_created"] * 4 + ["fim_mass_change"]
    assert host.alerts([seal], max_changes=5) == ["fim_file_created"] * 5


def test_of_new_directories_the_topmost_speaks_and_each_file_for_itself(host: Host) -> None:
    (host.files / "old").mkdir()
    seal = host.keep()
    for directory in ("old/new/a/b", "old/new/c", "other", "old/new/everybody"):
        (host.files / directory).mkdir(parents=True)
    (host.files / "old/new/everybody").chmod(0o777)
    files = [f"old/new/a/b/{number}" for number in range(20)] + ["other/x", "old/new/everybody/below"]
    for file in files:
        (host.files / file).touch()
    (host.files / "old/new/everybody/inner").mkdir()
    found = {detection["subject"]: detection for detection in host.detections([seal])}
    told = {path.removeprefix(f"{host.files}/"): detection["alert"] for path, detection in found.items()}
    assert told == {
        "old/new": "fim_directory_created",
        "other": "fim_directory_created",
        "old/new/everybody": "fim_permissions_changed",
        **dict.fromkeys(files, "fim_file_created"),
    }
    top = found[f"{host.files}/old/new"]
    assert (top["severity"], top["message"]) == (
        "informational",
        "A new directory that no package owns. Also new below it: files 21, directories 5.",
    )
    below = top["evidences"][0]["data"]["below"]
    assert (below["files"], below["directories"], len(below["paths"])) == (21, 5, 10)
    assert found[f"{host.files}/other"]["evidences"][0]["data"]["below"]["paths"] == [f"{host.files}/other/x"]


def test_a_file_that_comes_below_a_known_new_directory_is_news(host: Host) -> None:
    seal = host.keep()
    (host.files / "new" / "inner").mkdir(parents=True)
    known = {detection["subject"] for detection in host.detections([seal])}
    (host.files / "new" / "inner" / "backdoor").touch()
    assert {detection["subject"] for detection in host.detections([seal])} - known == {
        f"{host.files}/new/inner/backdoor"
    }


def test_claims_are_one_finding_for_each_package() -> None:
    def classify(change: model.FileChange) -> model.Verdict:
        name = change.path.decode().split("/")[2]
        return model.Verdict(f"claimed by {name} 1: it is not signed", package=name, version="1", claimed=True)

    watch = model.Watch("opt", ("/opt",))
    reviewed = review.Review([watch], classify, limit=1)
    for number in range(3):
        for package in ("tool", "other"):
            line = lines.recorded(b"%d d 0755 0 0 - - - - - - - - - -" % number, None)
            reviewed.add(results.Difference(b"/opt/%s/%d" % (package.encode(), number), 0, None, line))
    reviewed.finish()
    assert (reviewed.count, reviewed.explained_count, reviewed.claimed_count) == (0, 0, 6)
    found = {detection["subject"]: detection for detection in reviewed.detections()}
    assert set(found) == {"tool 1", "other 1"}
    assert {detection["alert"] for detection in found.values()} == {"fim_changes_claimed"}
    assert {detection["count"] for detection in found.values()} == {3}
    assert found["tool 1"]["message"] == "Changed files: 3; claimed by tool 1: it is not signed."
    assert found["tool 1"]["evidences"][0]["data"]["paths"] == ["/opt/tool/0", "/opt/tool/1", "/opt/tool/2"]
    catalogue.load().alert("fim_changes_claimed")
