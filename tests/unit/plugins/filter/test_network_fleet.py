# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a fleet saw of a source is counted once for all, and without the host itself."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter.network_fleet import FilterModule

FILTERS = FilterModule().filters()


class HostVars(dict[str, t.Any]):
    """Ansible's: what is registered is had without templating anything."""

    def __getitem__(self, name: str) -> t.Any:
        raise AssertionError("all variables of a host would be templated")

    def raw_get(self, name: str) -> t.Any:
        return self.get(name, {})


def seen(*sources: tuple[str, int], direction: str = "in") -> dict[str, t.Any]:
    return {"traffic": [{"source": one, "answered": answered, "direction": direction} for one, answered in sources]}


def signed_in(*sources: str, refused: t.Sequence[str] = ()) -> dict[str, t.Any]:
    return {"sign_ins": [{"source": one} for one in sources], "refused": [{"source": one} for one in refused]}


ADMIN, GUESSER, SCANNER, VISITOR = "192.0.2.7", "198.51.100.9", "198.51.100.10", "2001:db8::7"


def _fleet(count: int = 4) -> HostVars:
    return HostVars(
        {
            f"host{number}": {
                "network_hardening_seen": seen((ADMIN, 5), (GUESSER, 40), (SCANNER, 0), (f"203.0.113.{number}", 1)),
                "network_hardening_signed_in": signed_in(ADMIN, refused=[GUESSER]),
            }
            for number in range(count)
        }
    )


def _elsewhere(hostvars: HostVars, host: str) -> dict[str, tuple[int, int, int]]:
    total = FILTERS["network_fleet"](hostvars, list(hostvars))
    assert isinstance(total, str)
    assert not total.startswith(("{", "["))
    own = hostvars.raw_get(host)
    found = FILTERS["network_fleet_elsewhere"](
        total, own.get("network_hardening_seen"), own.get("network_hardening_signed_in")
    )
    return {one["source"]: (one["hosts_signed_in"], one["hosts_seen"], one["hosts_refused_only"]) for one in found}


def test_other_hosts_are_counted_without_the_host_itself() -> None:
    hostvars = _fleet()
    hostvars["alone"] = {"network_hardening_seen": seen((ADMIN, 0), (VISITOR, 2))}
    assert _elsewhere(hostvars, "host0") == {ADMIN: (3, 4, 1), GUESSER: (0, 3, 3), SCANNER: (0, 3, 3)}
    assert _elsewhere(hostvars, "alone") == {ADMIN: (4, 4, 0)}


def test_hosts_that_failed_and_what_makes_no_sense_are_left_out() -> None:
    hostvars = _fleet(2)
    hostvars["failed"] = {"network_hardening_seen": {"failed": True}, "network_hardening_signed_in": None}
    hostvars["absent"] = {}
    hostvars["odd"] = {
        "network_hardening_seen": {"traffic": [7, {"source": "{{ x }}"}, {"source": None}, {"source": "9" * 100}]},
        "network_hardening_signed_in": {"sign_ins": "all", "refused": {"source": ADMIN}},
    }
    assert _elsewhere(hostvars, "host0")[ADMIN] == (1, 1, 0)
    assert _elsewhere(hostvars, "odd") == {}


def test_where_a_host_connects_to_is_no_source() -> None:
    hostvars = _fleet(2)
    hostvars["client"] = {"network_hardening_seen": seen((ADMIN, 3), direction="out")}
    assert _elsewhere(hostvars, "host0")[ADMIN] == (1, 1, 0)


@pytest.mark.parametrize("total", [None, {}, "text", "bulwark-fleet-1:%%%", "bulwark-fleet-1:AAAA"])
def test_what_is_no_sum_is_refused(total: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="network_fleet"):
        FILTERS["network_fleet_elsewhere"](total, seen(), None)


@pytest.mark.parametrize(("hostvars", "hosts"), [({}, "host"), (7, ["host"]), ({}, [7])])
def test_options_that_make_no_sense_are_refused(hostvars: t.Any, hosts: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="network_fleet: "):
        FILTERS["network_fleet"](hostvars, hosts)


def test_a_large_fleet_takes_as_long_as_its_hosts() -> None:
    def taken(count: int) -> float:
        common = seen(*((f"198.18.{number // 250}.{number % 250}", 0) for number in range(2000)))
        hostvars = HostVars({f"host{number}": {"network_hardening_seen": common} for number in range(count)})
        started = time.process_time()
        total = FILTERS["network_fleet"](hostvars, list(hostvars))
        for host in hostvars:
            FILTERS["network_fleet_elsewhere"](total, hostvars.raw_get(host)["network_hardening_seen"])
        return (time.process_time() - started) / count

    small = taken(5)
    assert taken(50) < 3 * small
