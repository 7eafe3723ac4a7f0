# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of docker_benchmark_info are checked before any host is asked, and name controls as hosts know them."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.action import docker_benchmark_info
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError


def arguments(**given: t.Any) -> dict[str, t.Any]:
    made = docker_benchmark_info.ActionModule.__new__(docker_benchmark_info.ActionModule)
    made._task = types.SimpleNamespace(args=given, action="bulwark.servers.docker_benchmark_info")
    return t.cast("dict[str, t.Any]", made.module_arguments(dict(given), {}))


def exception(**given: t.Any) -> dict[str, t.Any]:
    return {"control": "5.10", "container": "agent", "reason": "why", **given}


@pytest.mark.parametrize("control", ["5.10", "docker_host_network_shared"])
def test_an_exception_reaches_the_host_with_the_id_of_its_control(control: str) -> None:
    given = arguments(exceptions=[exception(control=control, until="2027-01-31")])
    expected = {"control": "docker_host_network_shared", "container": "agent", "until": "2027-01-31"}
    assert {name: given["exceptions"][0][name] for name in expected} == expected


def test_the_number_is_that_of_the_edition() -> None:
    numbers = {
        edition: arguments(exceptions=[exception(control="2.8")], edition=edition) for edition in ("1.8.0", "1.6.0")
    }
    first, second = (each["exceptions"][0]["control"] for each in numbers.values())
    assert (first, second) == ("docker_api_without_tls", "docker_default_ulimits_missing")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (exception(control="5.99"), "entry 1 names the control '5.99', which CIS Docker Benchmark 1.8.0 does not have"),
        (exception(control="docker_host_network"), "did you mean docker_host_network_shared"),
        (exception(container=None), "entry 1 says nothing of container, image, service or engine"),
        (exception(reason=" "), "entry 1 has no reason"),
        (exception(until="soon"), "entry 1 ends on 'soon'"),
    ],
)
def test_an_exception_that_covers_nothing_is_refused(given: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ContentError, match=message):
        arguments(exceptions=[given])


@pytest.mark.parametrize("control", [5.10, 5])
def test_a_number_without_quotes_is_refused(control: float) -> None:
    given = [exception(), exception(control=control)]
    with pytest.raises(ContentError, match=r'^exceptions: entry 2: write the control in quotes, as "5\.10"$'):
        arguments(exceptions=given)


def test_without_exceptions_the_host_is_asked_as_it_is() -> None:
    assert arguments(level=1)["exceptions"] == []
