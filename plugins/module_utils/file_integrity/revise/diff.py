# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accepted changes, and differences for diff mode, as people read them."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.header import Header
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import attributes
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.acceptance import Acceptance
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import definitions


def accepted(acceptance: Acceptance) -> dict[str, t.Any]:
    return {"accepted": acceptance.described(), "accepted_count": acceptance.count}


def changes_diff(acceptance: Acceptance) -> dict[str, str]:
    """Return the accepted changes as the baseline has them before and after."""
    changes = sorted(acceptance.taken, key=lambda change: change.path)
    before = [_entry(change.before, change) for change in changes if change.before is not None]
    after = [_entry(change.after, change) for change in changes if change.after is not None]
    return {
        "before_header": "baseline",
        "after_header": "baseline with %d accepted changes" % acceptance.count,
        "before": "".join(before),
        "after": "".join(after),
    }


def watches_diff(header: Header | None, wanted: t.Sequence[model.Watch] | None) -> dict[str, str]:
    """Return the watches that the baseline has and those that it is to have."""
    now = header.watches if header else ()
    return {
        "before_header": "watches of the baseline",
        "after_header": "watches asked for",
        "before": _watches(now),
        "after": _watches(now if wanted is None else wanted),
    }


def _entry(entry: model.Entry, change: model.FileChange) -> str:
    names = change.attributes if change.before and change.after and change.attributes else model.ATTRIBUTES
    values = ((name, attributes.attribute(entry, name)) for name in names)
    shown = ["%s=%s" % (name, _plain(value)) for name, value in values if value not in (None, [], {})]
    return "%s: %s\n" % (printable(entry.path), " ".join(shown))


def _plain(value: t.Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _watches(shown: t.Iterable[model.Watch]) -> str:
    return "".join("%s\n" % json.dumps(definitions.to_data(watch), sort_keys=True) for watch in shown)
