# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a role that is not included: its defaults below what somebody set."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from ansible.errors import AnsibleError

from tests.unit.plugins.plugin_utils.scan.scans import variables


def test_a_default_counts_until_somebody_sets_the_variable() -> None:
    assert variables("audit").value("audit_first_days") == 30
    assert variables("audit", audit_first_days=7).value("audit_first_days") == 7


def test_a_value_is_templated_with_the_other_variables_and_defaults() -> None:
    found = variables("audit", audit_log_paths="{{ [base ~ '/a.log'] }}", base="{{ root }}/log", root="/srv")
    assert found.value("audit_log_paths") == ["/srv/log/a.log"]
    assert variables("audit", audit_first_days="{{ audit_lock_timeout + 1 }}").value("audit_first_days") == 61


def test_a_variable_that_nobody_has_set_is_none() -> None:
    assert variables("audit").value("audit_of_no_role") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.date(2027, 1, 31), "2027-01-31"),
        # As Ansible writes it for a module.
        (dt.datetime(2027, 1, 31, 12, 30, tzinfo=dt.UTC), "2027-01-31T12:30:00+00:00"),
    ],
)
def test_a_date_without_quotes_becomes_the_text_that_it_was(value: t.Any, text: str) -> None:
    entries = [{"package": "x", "reason": "y", "until": value}]
    found = variables("memory_scan", memory_scan_allowlist=entries).value("memory_scan_allowlist")
    assert found == [{"package": "x", "reason": "y", "until": text}]


def test_a_template_that_fails_names_its_variable() -> None:
    with pytest.raises(AnsibleError, match=r"^audit_log_paths: .*nowhere"):
        variables("audit", audit_log_paths="{{ nowhere }}").value("audit_log_paths")


@pytest.mark.parametrize(("directions", "holds"), [([], False), (["in"], True)])
def test_a_condition_sees_defaults_and_variables(directions: list[str], holds: bool) -> None:
    condition = "network_hardening_use_sign_ins | bool and network_hardening_directions | length > 0"
    assert variables("network_hardening", network_hardening_directions=directions).holds(condition) is holds


def test_the_roles_specification_is_checked() -> None:
    assert variables("audit").problems(()) == []
    (problem,) = variables("audit", audit_rules_state="gone").problems(())
    assert problem == "value of audit_rules_state must be one of: absent, present, got: gone" or (
        problem == "value of audit_rules_state must be one of: present, absent, got: gone"
    )


def test_what_a_module_says_better_is_left_to_it() -> None:
    given = variables("file_integrity", file_integrity_watches="/srv/a b")
    assert given.problems(["file_integrity_watches"]) == []
    assert len(given.problems([])) == 1
