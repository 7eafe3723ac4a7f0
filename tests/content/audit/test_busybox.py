# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program raises, BusyBox raises as that applet, and no more."""

from __future__ import annotations

import pytest

from tests.content.audit import harness
from tests.support.life import APPLETS

# By rule: what is looked at in a sample of those that know programs by their names.
_RULES = frozenset(
    (
        "account_files_by_command",
        "browser_data_searched",
        "clock_set",
        "credential_file_read",
        "cron_by_command",
        "event_hook_by_command",
        "exploit_text",
        "history_read",
        "hidden_name_made",
        "init_script_by_command",
        "linker_path_by_command",
        "log_lines_removed",
        "pam_changed_by_command",
        "permissions_widened",
        "preload_by_command",
        "system_profile_by_command",
    )
)
# At the host's start no applet sets the clock by the kernel's own path of hwclock.
_OTHERWISE = {"clock_set: not hwclock at boot"}


def as_busybox(event: harness.Event) -> harness.Event:
    image, name = str(event.view.get("Image", "")), str(event.view.get("CommandLine", "")).partition(" ")[0]
    if event.source != "process_creation" or name not in APPLETS or image != f"/usr/bin/{name}":
        return event
    return event._replace(view={**event.view, "Image": "/bin/busybox"})


CASES = [
    case
    for case in harness.load()
    if case.rule in _RULES and case.title not in _OTHERWISE and [*map(as_busybox, case.events)] != [*case.events]
]


def test_there_are_cases_of_applets() -> None:
    assert {case.rule for case in CASES} >= _RULES - {"clock_set", "permissions_widened"}


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_case_is_the_same_by_busybox(case: harness.Case) -> None:
    found = harness.rules().raised(map(as_busybox, case.events))
    assert {raised.alert for raised in found} == case.alerts
