# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a request to open ports for a while, and which of them may follow which."""

from __future__ import annotations

import typing as t

# requested: somebody asks. approved, denied: somebody else decided. opening: the host is about to be asked, so that
# nothing is open that nobody knows of. open: the host said so. unknown: the host was asked, and did not say. closed:
# somebody ended it before its time, or the host said that it opened nothing. expired: its time is over, before or after
# it was opened. replaced: a newer request of the same person for the same was opened.
STATES = ("requested", "approved", "denied", "opening", "open", "unknown", "closed", "expired", "replaced")

# What is not here is refused.
NEXT: t.Mapping[str, tuple[str, ...]] = {
    "requested": ("approved", "denied", "expired"),
    # Denied after all: what was approved and is not open yet can be taken back.
    "approved": ("opening", "denied", "expired"),
    "denied": (),
    "opening": ("open", "unknown", "closed", "expired", "replaced"),
    "open": ("unknown", "closed", "expired", "replaced"),
    # The host can be asked again: for one id it opens once.
    "unknown": ("opening", "open", "closed", "expired", "replaced"),
    "closed": (),
    "expired": (),
    "replaced": (),
}

# In which the ports may be open.
MAYBE_OPEN = ("opening", "open", "unknown")

_NOT_OPEN = "it is not open; deny it to take it back"
_CLOSE = "close it instead"
_ADVICE: t.Mapping[tuple[str, str], str] = {
    ("requested", "opening"): "it has to be approved first",
    ("requested", "open"): "it has to be approved first",
    ("requested", "closed"): _NOT_OPEN,
    ("requested", "replaced"): _NOT_OPEN,
    ("approved", "closed"): _NOT_OPEN,
    ("approved", "replaced"): _NOT_OPEN,
    ("approved", "requested"): "it can be opened",
    ("approved", "open"): "it has to be opening first, before the host is asked",
    ("opening", "opening"): "another job opens it; look at the host (with a scan) or close it if that job is gone",
    ("opening", "denied"): _CLOSE,
    ("unknown", "denied"): _CLOSE,
    ("open", "approved"): "it was approved before",
    ("open", "denied"): _CLOSE,
    ("open", "opening"): "make another request to have it open for longer",
    ("open", "open"): "make another request to have it open for longer",
}
_OVER = "nothing can follow that; make another request"


def refusal(request: str, state: str, wanted: str) -> str | None:
    """Return why a request in a state cannot get another one, as a sentence; None where it can."""
    if wanted in NEXT[state]:
        return None
    advice = _ADVICE.get((state, wanted), "make another request" if NEXT[state] else _OVER)
    again = " already" if state == wanted else ""
    return f"the request {request} is {state}{again}, so it cannot become {wanted}: {advice}"
