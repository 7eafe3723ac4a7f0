# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one process tells another of what it found: each hit, and what evidence is made of where it may be asked for.

Of an event that is the same finding as others before and after it in a chunk, only the number counts.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import tally
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import (
    About,
    Explained,
    Looked,
    Verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Rule

# The number of an event, its time, and what the rules say of it.
Judged = t.Tuple[int, float, Looked]
# The same for another process.
Told = t.Tuple[int, float, Verdict, Explained, t.Optional[About]]


def tell(judged: t.Sequence[Judged], rule: t.Callable[[int], Rule], wanted: t.Callable[[int], bool]) -> list[Told]:
    """Return what was found in a chunk, for another process.

    wanted: whether a rule's matches are of interest beyond their number, as those that are part of correlations.
    """
    shown = _shown(judged, rule, wanted)
    return [
        (
            number,
            time,
            looked.hits,
            looked.explained,
            looked.views.about if looked.views is not None and place in shown else None,
        )
        for place, (number, time, looked) in enumerate(judged)
    ]


def _shown(judged: t.Sequence[Judged], rule: t.Callable[[int], Rule], wanted: t.Callable[[int], bool]) -> set[int]:
    """Return the places of what may be asked for: of each finding, as ``Tally`` does, the first and the last."""
    shown: set[int] = set()
    groups: dict[tuple[str, str, str], list[int]] = {}
    for place, (_number, _time, looked) in enumerate(judged):
        for hit, explanation in looked.each():
            one = rule(hit.rule)
            if wanted(hit.rule):
                shown.add(place)
            if not one.component:
                kind = explanation.kind if explanation is not None and explanation.kind in one.explained_by else ""
                groups.setdefault((one.alert, hit.subject, kind), []).append(place)
    for places in groups.values():
        shown.update(places[:1], places[-tally.LAST :])
    return shown
