# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An export in a process of its own, which a test can kill. Its time goes faster, so that waits end soon."""

from __future__ import annotations

import json
import sys
import time
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import heartbeat, runner, settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import splunk, webhook
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Clock
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

_SPEED = 50


def parse(destinations: t.Sequence[t.Mapping[str, t.Any]], now: float) -> list[settings.Settings]:
    """Return destinations as the export takes them."""
    result = ArgumentSpecValidator({"destinations": settings.arguments()}).validate({"destinations": destinations})
    assert not result.error_messages
    return settings.parse(result.validated_parameters["destinations"], {}, now)


def _fast(start: float) -> Clock:
    """Return a clock by which each second since ``start`` counts many times, in all processes alike."""
    return Clock(
        now=lambda: start + (time.time() - start) * _SPEED,
        monotonic=lambda: time.monotonic() * _SPEED,
        pause=lambda seconds: time.sleep(seconds / _SPEED),
    )


def main() -> None:
    """Export until nothing waits, or fail."""
    given = json.loads(sys.argv[1])
    # Smaller batches, so that a kill falls between two of them more often.
    splunk._MOST_EVENTS = webhook._SINGLE_EVENTS = given.get("most_events", 8)
    heartbeat._BEAT /= _SPEED
    clock = _fast(given["start"])
    destinations = parse(given["destinations"], clock.now())
    done = runner.run(destinations, lambda: Store.open(given["store"]), 600 * _SPEED, clock)
    problems = [progress.error for progress in done.values() if progress.error]
    if problems:
        sys.exit("; ".join(problems))


if __name__ == "__main__":
    main()
