# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a role failed is said with the names of its variables, and what is about the host stays as it is."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter.failure_reason import FilterModule

_failure_reason = FilterModule().filters()["failure_reason"]


def reason(failure: t.Any, role: str = "file_integrity", variables: t.Any = None) -> t.Any:
    return _failure_reason(failure, role, "The files", variables)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("workers is 0; use 1 or more", "file_integrity_workers is 0; use 1 or more"),
        ("disabled_watches: 'x' is not a default watch", "file_integrity_disabled_watches: 'x' is not a default watch"),
        ("watches, item 1: no name", "file_integrity_watches, item 1: no name"),
        ("watches has 9 entries", "file_integrity_watches has 9 entries"),
        ("Task failed: workers is 0", "file_integrity_workers is 0"),
        # The variable already, or no option of the role.
        ("file_integrity_workers is 0", "file_integrity_workers is 0"),
        ("disk is full", "disk is full"),
        ("nobody knows what workers is", "nobody knows what workers is"),
        ("/var/lib/bulwark is a symbolic link", "/var/lib/bulwark is a symbolic link"),
        ("", "The files could not be checked."),
    ],
)
def test_an_option_becomes_the_variable_of_the_role(message: str, expected: str) -> None:
    assert reason({"failed": True, "msg": message}) == expected


def test_an_option_of_another_name_becomes_the_variable_that_it_comes_from() -> None:
    named = {"paths": "audit_sign_in_paths"}
    assert reason({"msg": "paths: 'x' is not absolute"}, "audit", named) == "audit_sign_in_paths: 'x' is not absolute"
    assert reason({"msg": "journal is 1"}, "audit", named) == "audit_journal is 1"
    assert reason({"msg": "paths: 'x' is not absolute"}, "audit") == "paths: 'x' is not absolute"


def test_all_errors_of_the_argument_specification_are_named() -> None:
    failure = {"msg": "Validation of arguments failed:\na\nb", "argument_errors": ["argument 'a' is no int", "b"]}
    assert reason(failure) == "argument 'a' is no int; b"


@pytest.mark.parametrize("failure", [{}, {"msg": None}, {"msg": ["x"]}, {"msg": "", "argument_errors": []}])
def test_a_failure_without_a_message_says_what_was_not_checked(failure: dict[str, t.Any]) -> None:
    assert reason(failure) == "The files could not be checked."


def test_what_is_no_result_and_no_role_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="the input is not a result of a task"):
        reason("x")
    with pytest.raises(AnsibleFilterError, match="there is no role 'files'"):
        reason({}, "files")
