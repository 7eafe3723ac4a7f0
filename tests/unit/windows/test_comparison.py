# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole comparison of a Windows host with its baseline: what one part of it says that another one needs."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.support.windows import toolchain
from tests.unit.windows.driver import Driver
from tests.unit.windows.test_registry import ACCOUNT, RUN, SERVICES, Tree, key, value

pytestmark = pytest.mark.requires(*toolchain.MONO)

_HERE = pathlib.Path(__file__).parent


class Host:
    """A host, and the directory in which the state of each comparison is."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._runs = 0
        names = ("file_integrity.Comparison", "file_integrity.RegistryJudge", "contracts.State")
        scripts = ("ComparisonScript", "ListedEntries", "RecordedFacts", "PlainStateFiles")
        sources = [_HERE / f"{name}.cs" for name in scripts]
        self.driver = Driver(*names, sources=sources)

    def compare(self, before: list[Tree], now: list[Tree], marks: t.Sequence[str] = (), **facts: t.Any) -> Tree:
        self._runs += 1
        directory = str(self._directory / str(self._runs))
        all_marks = [*marks, *[""] * (len(before) - len(marks))]
        result: Tree = self.driver.call("ComparisonScript.Compare", directory, facts, before, all_marks, now)
        return result


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host(tmp_path_factory.mktemp("host"))


def alerts(result: Tree) -> list[str]:
    return [detection["alert"] for detection in result["detections"]]


def test_a_sign_in_claims_nothing_of_a_hive_that_is_in_the_baseline(host: Host) -> None:
    run = f"HKU\\{ACCOUNT}\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
    times = {f"HKU\\{ACCOUNT}\\Volatile Environment": 200, run: 50}
    added = value(f"{run}\\x", r"C:\Users\ann\AppData\Roaming\x.exe")
    others = [key(f"HKU\\{ACCOUNT}9\\Environment"), value(f"HKU\\{ACCOUNT}9\\Environment\\TEMP", "x")]
    assert alerts(host.compare(others, [*others, added], last_writes=times)) == ["fim_changes_claimed"]
    for known in (
        key(f"HKU\\{ACCOUNT}\\SOFTWARE"),
        value(f"HKU\\{ACCOUNT}\\SOFTWARE\\x", "x"),
        # After the value that was added, and of the account's classes.
        value(f"HKU\\{ACCOUNT}_Classes\\CLSID\\x", "x"),
    ):
        result = host.compare([known], [known, added], last_writes=times)
        assert alerts(result) == ["persistence_run_key"]


def test_another_reason_at_the_same_value_is_a_new_finding(host: Host) -> None:
    image = value(f"{SERVICES}\\x\\ImagePath", r"C:\My Shop\x.exe")
    first = {"C:\\": ["Users"]}
    result = host.compare([image], [image], writers=first)
    assert alerts(result) == ["hijackable_service"]
    mark = host.driver.call("ComparisonScript.Mark", {"writers": first}, image).replace("m:", "a:")
    assert alerts(host.compare([image], [image], [mark], writers=first)) == []
    second = {r"C:\My Shop\x.exe": ["Users"]}
    assert alerts(host.compare([image], [image], [mark], writers=second)) == ["hijackable_service"]


def test_a_change_of_what_verifies_signatures_is_in_the_coverage_of_files(host: Host) -> None:
    provider = r"HKLM\SOFTWARE\Microsoft\Cryptography\OID\EncodingType 0\CryptSIPDllVerifyIndirectData\{1}\Dll"

    def reasons(result: Tree) -> str:
        return str(result["coverage"])

    doubt = "signatures and what they explain prove nothing"
    assert doubt in reasons(host.compare([], [value(provider, "x.dll")]))
    assert doubt not in reasons(host.compare([], [value(f"{RUN}\\x", "x.dll")]))
