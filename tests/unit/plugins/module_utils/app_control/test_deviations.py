# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences between a host, the policy that was deployed there, and what the controller wants."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.deviations import (
    Seen,
    describe,
    deviations,
    missing,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.state import Before, Deployed

RULES = [{"package": "nginx", "manager": "dpkg"}, {"directory": "/opt/tool"}]
CONTENT = {"lists": [{"name": "web", "distribution": "", "rules": RULES}], "exemptions": []}
BEFORE = Before({}, {}, False, False, ())
DEPLOYED = Deployed("enforce", {}, {}, BEFORE, "", {}, 1.0, "token")
FINE = Seen("1.3.4", is_running=True, is_refused=True, is_at_boot=True, trusted=3_000)


def reported(
    wanted: str = "enforce",
    content: t.Mapping[str, t.Any] | None = CONTENT,
    deployed: Deployed = DEPLOYED,
    **seen: t.Any,
) -> list[tuple[str, str | None, str]]:
    detections = deviations(wanted, content, deployed, CONTENT, FINE._replace(**seen))
    return [(each["alert"], each["severity"], each["message"]) for each in detections]


def test_a_host_as_it_was_deployed() -> None:
    assert reported() == []


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({"version": None}, "fapolicyd is not installed any more, so every program runs."),
        ({"is_running": False, "is_refused": None}, "fapolicyd does not run, so every program runs."),
        ({"is_permissive": True}, "fapolicyd is configured to be permissive, so it lets every program run."),
        (
            {"is_refused": False, "is_permissive": True},
            "fapolicyd does not refuse a harmless untrusted file, so it does not enforce the policy.",
        ),
    ],
)
def test_a_policy_without_effect(seen: dict[str, t.Any], message: str) -> None:
    assert reported(**seen) == [("app_enforcement_off", None, message)]


def test_a_rehearsal_is_meant_to_be_permissive() -> None:
    rehearsed = DEPLOYED._replace(mode="rehearse")
    assert reported("rehearse", deployed=rehearsed, is_permissive=True, is_refused=None) == []
    ((alert, severity, _message),) = reported("rehearse", deployed=rehearsed, is_running=False)
    assert (alert, severity) == ("app_enforcement_off", "medium")


def test_files_that_were_changed_and_trust_of_others() -> None:
    foreign = {"trust.d/x.trust": ["/srv/a\nb", "/srv/c"], "trust.d/y.trust": ["/srv/d"]}
    assert reported(changed=("compiled.rules", "fapolicyd.conf"), foreign=foreign, is_at_boot=False) == [
        ("app_enforcement_changed", None, "Other than deployed: compiled.rules, fapolicyd.conf."),
        (
            "app_foreign_trust",
            None,
            "trust.d/x.trust has 2 entries that no allowlist has, the first for /srv/a\\nb.",
        ),
        ("app_foreign_trust", None, "trust.d/y.trust has an entry that no allowlist has, for /srv/d."),
        ("app_enforcement_not_at_boot", None, "systemd does not start fapolicyd at boot."),
    ]


def test_while_something_else_is_meant_for_a_time() -> None:
    seen: dict[str, t.Any] = {"temporary": "packages are being installed", "is_refused": None}
    # Root can make it look so: it is shown, and less urgent.
    assert reported(changed=("compiled.rules",), is_running=False, **seen) == [
        (
            "app_enforcement_off",
            "informational",
            "fapolicyd does not run, so every program runs. For now, packages are being installed.",
        ),
        (
            "app_enforcement_changed",
            "informational",
            "Other than deployed: compiled.rules. For now, packages are being installed.",
        ),
    ]
    assert [each[:2] for each in reported(foreign={"x": ["/y"]}, **seen)] == [("app_foreign_trust", None)]
    window = {"temporary": "a maintenance window is open", "is_refused": None, "is_window": True}
    assert reported(**window) == [("app_enforcement_off", "informational", "For now, a maintenance window is open.")]
    ended = {"lasting": "its process is gone", "is_refused": False}
    assert reported(**ended) == [
        (
            "app_enforcement_off",
            None,
            "A maintenance window ended, and every program still runs: its process is gone.",
        )
    ]
    assert "For now: packages are being installed." in describe(DEPLOYED, FINE._replace(**seen))


def test_an_upgrade_does_not_explain_that_everything_runs() -> None:
    ((alert, severity, _message),) = reported(temporary="packages are being installed", is_refused=False)
    assert (alert, severity) == ("app_enforcement_off", None)


def test_drift_between_host_and_controller() -> None:
    assert reported("audit") == [("app_enforcement_drift", None, "The host is in mode enforce, and audit is wanted.")]
    ((alert, _severity, message),) = reported(content=None)
    assert (alert, message) == ("app_enforcement_drift", "No allowlist is for this host any more.")
    newer = {**CONTENT, "lists": [{"name": "web", "distribution": "", "rules": [RULES[0], {"sha256": "1" * 64}]}]}
    ((alert, _severity, message),) = reported(content=newer)
    assert message == "Rules and exceptions that only the allowlist has: 1; that only the policy has: 1."


def test_a_host_without_a_policy() -> None:
    assert missing("audit", FINE) == []
    ((found_one,), (other,)) = (missing("enforce", Seen(None)), missing("rehearse", FINE))
    assert found_one["message"] == "Mode enforce is wanted, and fapolicyd is not installed."
    assert other["message"] == "Mode rehearse is wanted, and no policy is deployed."


def test_the_coverage_names_what_is_not_stopped() -> None:
    notes = " ".join(describe(DEPLOYED, FINE._replace(stale=2, unwatched=("/data (xfs)",), has_leases=True)))
    for words in (
        "Mode enforce by fapolicyd 1.3.4, 3000 trusted",
        "2 trusted files are gone",
        "/data (xfs)",
        "containers and other mount namespaces",
        "Any account can have everybody wait by leases",
    ):
        assert words in notes
    assert "leases" not in " ".join(describe(DEPLOYED, FINE))
