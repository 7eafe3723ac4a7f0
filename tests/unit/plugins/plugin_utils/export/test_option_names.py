# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A misspelt option is named with its destination, its kind and the option that is meant."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds, option_names, settings

SPEC = {"names": {"type": "list"}, "destinations": settings.arguments()}


def problem(*entries: t.Any) -> str | None:
    return option_names.problem({"destinations": list(entries)}, SPEC)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_each_option_of_each_kind_is_known_and_a_misspelt_one_is_named(kind: str) -> None:
    options = kinds.arguments()[kind]["options"]
    assert problem({**settings.COMMON, kind: options}) is None
    for option in options:
        wrong = f"{option[:-1]}x"
        if wrong not in options:
            sentence = problem({"name": "bus", kind: {wrong: 1}})
            assert sentence is not None
            assert sentence.startswith(f"destination 'bus': {kind}: '{wrong}' is not an option; did you mean '")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"name": "bus", "kafka": {"tsl": 1}}, "destination 'bus': kafka: 'tsl' is not an option; did you mean 'tls'?"),
        ({"name": "bus", "kafak": {}}, "destination 'bus': 'kafak' is not an option; did you mean 'kafka'?"),
        ({"nmae": "bus"}, "destination number 1: 'nmae' is not an option; did you mean 'name'?"),
        (
            {"name": "bus", "kafka": {"severity": "high"}},
            "destination 'bus': kafka: 'severity' is not an option there; write it beside kafka, not below it",
        ),
        (
            {"name": "bus", "kafka": {}, "topic": "findings"},
            "destination 'bus': 'topic' is not an option there; write it below kafka",
        ),
        (
            {"name": "b\n\x1b[1m", 17: 1},
            "destination 'b\\n\\x1b[1m': '17' is not an option; ansible-doc describes each option",
        ),
    ],
)
def test_a_name_that_is_no_option_is_explained(entry: dict[t.Any, t.Any], sentence: str) -> None:
    assert problem(entry) == sentence


def test_all_wrong_names_are_in_one_message() -> None:
    assert option_names.problem({"name": "siem", "destinations": [{"name": "a", "hots": []}]}, SPEC) == (
        "'name' is not an option; did you mean 'names'?; "
        "destination 'a': 'hots' is not an option; did you mean 'hosts'?"
    )


def test_a_module_without_destinations_has_none() -> None:
    assert option_names.problem({"names": [], "destinations": []}, {"names": {}}) == (
        "'destinations' is not an option; ansible-doc describes each option"
    )


@pytest.mark.parametrize("entries", ["siem", None, {"name": "siem"}, ["siem", None, 1]])
def test_what_is_no_list_of_mappings_is_left_to_the_check_of_types(entries: t.Any) -> None:
    assert option_names.problem({"destinations": entries}, SPEC) is None


def test_what_is_below_a_kind_and_no_mapping_is_left_to_the_check_of_types() -> None:
    assert problem({"name": "siem", "syslog": "siem.example.com"}) is None
