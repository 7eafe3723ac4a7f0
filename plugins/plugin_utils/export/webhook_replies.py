# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The meaning of a reply's status for a request of a webhook (RFC 9110, section 15)."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import Response

# accepted. refused: for what is in this request, and for good. too_large: so. blocked: perhaps for what is in it, as
# firewalls for applications do. unavailable: for now, or until somebody mends the address or the rights.
Effect = t.Literal["accepted", "refused", "too_large", "blocked", "unavailable"]

_REFUSED = frozenset({400, 415, 422})
# Wrong address, rights or method, a receiver that is busy with the same request, or with too many.
_UNAVAILABLE = frozenset({401, 404, 405, 407, 408, 409, 410, 421, 423, 425, 426, 429, 451})


class Success(t.NamedTuple):
    """Further conditions of success. statuses: besides 2xx. text: that the body must have."""

    statuses: frozenset[int] = frozenset()
    text: str | None = None


def judge(response: Response, success: Success) -> tuple[Effect, str]:
    """Return what a reply means, and why, for people."""
    status = response.status
    reason = response.reason()
    explanation = f"it replied with status {status}" + (f": {reason}" if reason else "")
    if status in success.statuses:
        return "accepted", explanation
    if 200 <= status < 300:
        if response.is_page:
            return "unavailable", f"{explanation}; that is not a webhook, check the URL and the proxy"
        if success.text is not None and success.text not in response.body.decode("utf-8", "replace"):
            return "unavailable", f"{explanation}, without the text of success_text"
        return "accepted", explanation
    if status == 413:
        return "too_large", explanation
    if status in _REFUSED:
        return "refused", explanation
    if status in _UNAVAILABLE or status >= 500:
        return "unavailable", explanation
    return "blocked", explanation
