# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The COM interfaces of WMI as a real Windows process calls them, by Wine.

Wine has some classes of ``root\\cimv2``. It has no event subscriptions, no ``__NAMESPACE`` and no
``root\\subscription``: these are tested with recorded replies in ``tests/unit/windows/test_wmi.py``.
"""

from __future__ import annotations

import functools
import pathlib
import subprocess
import typing as t

import pytest

from tests.support.windows import compiler, toolchain
from tests.unit.windows import driver as drivers
from tests.unit.windows.driver import call

pytestmark = pytest.mark.requires(*toolchain.WINE)

_START_SECONDS = 60

RUNNING, STOPPED = 4, 1
MORE = 0x40010
NO_NAMESPACE = 0x8004100E
NO_CLASS = 0x80041010


@functools.cache
def driver(prefix: pathlib.Path | None) -> drivers.Driver:
    scenario = pathlib.Path(__file__).with_name("WmiScenario.cs")
    return drivers.Driver(
        "file_integrity.WmiCollector", sources=[scenario], target=compiler.Target.WINDOWS, prefix=prefix
    )


def run(*cases: drivers.Case, prefix: pathlib.Path | None = None) -> list[t.Any]:
    """Return the results; fail with what the first unsuccessful call says."""
    return driver(prefix).results(*cases)


def do(name: str, *arguments: t.Any) -> drivers.Case:
    return call(f"WmiScenario.{name}", *arguments)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[pathlib.Path]:
    """Yield a Wine prefix in which the service of WMI runs."""
    with toolchain.private_prefix(tmp_path_factory.mktemp("windows") / "prefix") as directory:
        toolchain.keep_running(directory)
        subprocess.run(
            toolchain.wine_command("net", "start", "winmgmt"),
            env=toolchain.environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=_START_SECONDS,
        )
        yield directory


def test_instances_have_paths_classes_and_properties_of_all_types() -> None:
    system, processors, adapters = run(
        do("Instances", "root\\cimv2", "Win32_OperatingSystem", 10),
        do("Instances", "root\\cimv2", "CIM_Processor", 10),
        do("Instances", "ROOT\\CIMV2", "Win32_NetworkAdapterConfiguration", 100),
    )
    assert (system["status"], len(system["instances"])) == (0, 1)
    properties = system["instances"][0]["Properties"]
    assert system["instances"][0]["Class"] == "Win32_OperatingSystem"
    assert properties["BuildNumber"].isdigit()
    assert isinstance(properties["OSLanguage"], int)
    assert properties["CSDVersion"] is None
    assert processors["instances"][0]["RelativePath"].startswith("CIM_Processor.DeviceId=")
    flags = [instance["Properties"]["DHCPEnabled"] for instance in adapters["instances"]]
    assert {type(flag) for flag in flags} == {bool}
    lists = [instance["Properties"]["IPAddress"] for instance in adapters["instances"]]
    assert any(isinstance(value, list) and isinstance(value[0], str) for value in lists if value)


def test_a_limit_a_wrong_class_and_a_wrong_namespace_are_told_apart() -> None:
    none, some, wrong_class, wrong_namespace = run(
        do("Instances", "root\\cimv2", "Win32_Service", 0),
        do("Instances", "root\\cimv2", "Win32_Service", 2),
        # In root\cimv2, Wine takes every name for a class without instances.
        do("Instances", "root", "__NAMESPACE", 10),
        do("Instances", "root\\nothing", "Win32_Service", 10),
    )
    assert (none["status"], len(none["instances"])) == (MORE, 0)
    assert (some["status"], len(some["instances"])) == (MORE, 2)
    assert (wrong_class["status"], wrong_class["instances"]) == (NO_CLASS, [])
    assert (wrong_namespace["status"], wrong_namespace["instances"]) == (NO_NAMESPACE, [])


def test_a_stopped_service_is_coverage_and_stays_stopped() -> None:
    before, result, after = run(do("State"), do("Collect", ["root\\*"]), do("State"))
    assert (before, after) == (STOPPED, STOPPED)
    assert result["entries"] == []
    assert result["coverage"]["status"] == "not_checked"
    assert result["coverage"]["reason"].startswith("WMI could not be asked: its service Winmgmt is not running")


def test_classes_that_are_not_there_are_coverage(prefix: pathlib.Path) -> None:
    state, result = run(do("State"), do("Collect", ["root", "root\\*"]), prefix=prefix)
    assert state == RUNNING
    assert result["entries"] == []
    skipped = {item["subject"]: item["reason"] for item in result["coverage"]["skipped"]}
    assert skipped["root\\__NAMESPACE"] == "there is no such class"
