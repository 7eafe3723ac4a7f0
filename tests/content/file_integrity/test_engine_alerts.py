# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts that no single change raises: they are about the baseline itself, or about how much changed."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import comparison, keep, options
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, file_integrity

# Raised by tests/integration/test_file_integrity_mounts.py, with real mounts.
MOUNTS = ("fim_mounted_over", "fim_unmounted")

# Read by test_cases.py: the alerts that are proven here instead of with data.
PROVEN = frozenset(("fim_baseline_removed", "fim_baseline_tampered", "fim_mass_change", *MOUNTS))


class Host:
    """A directory that is watched, and the state directory with its baseline."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.files = directory / "files"
        self.files.mkdir()
        self._state = directory / "state"
        self.baseline = self._state / "file_integrity" / "default.baseline"

    def keep(self) -> str:
        """Make the baseline and return the digest that seals it."""
        result = keep.keep(self._parameters(options.keep_spec()), False)
        digest = result["baseline"]["digest"]
        assert isinstance(digest, str)
        return digest

    def alerts(self, seals: list[str], max_changes: int = 1000) -> list[str]:
        """Compare, and return the alerts that are raised."""
        return [detection["alert"] for detection in self.detections(seals, max_changes)]

    def detections(self, seals: list[str], max_changes: int = 1000) -> list[dict[str, t.Any]]:
        parameters = self._parameters(options.compare_spec())
        parameters.update(_expected_digests=seals, max_changes=max_changes)
        found = comparison.compare(parameters, False)["detections"]
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
