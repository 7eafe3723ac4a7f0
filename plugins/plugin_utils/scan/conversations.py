# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let several conversations with one host go on at once: what they ask next travels together."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation, Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# Asks the host all that is asked now, by the names of the conversations, and returns its answers by the same names.
Ask = t.Callable[[t.Mapping[str, Request]], t.Mapping[str, dict[str, t.Any]]]
_LONGEST = 1_000
_Outcome = t.TypeVar("_Outcome")


def hold(conversations: t.Mapping[str, Conversation], ask: Ask) -> dict[str, dict[str, t.Any]]:
    """Return the result of each conversation; of one that breaks off, a failed one, which ends no other."""
    steps: dict[str, t.Callable[[], Request]] = {
        name: functools.partial(next, conversation) for name, conversation in conversations.items()
    }
    results: dict[str, dict[str, t.Any]] = {}
    while steps:
        outcomes = {name: attempt(step) for name, step in steps.items()}
        pending = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Request)}
        results.update((name, outcome) for name, outcome in outcomes.items() if not isinstance(outcome, Request))
        answers = ask(pending) if pending else {}
        steps = {name: functools.partial(conversations[name].send, answers[name]) for name in pending}
    return results


def attempt(step: t.Callable[[], _Outcome]) -> _Outcome | dict[str, t.Any]:
    """Return what a step returns, the result of a conversation that it ends, or a failed one where it can't be done."""
    try:
        return step()
    except StopIteration as stop:
        return t.cast("dict[str, t.Any]", stop.value)
    except AnsibleError as error:
        return failed(error.message)
    except Exception as error:  # noqa: BLE001 - a host's answer that one capability stumbles over is its own problem
        return failed(f"the host's result could not be used: {type(error).__name__}: {error}")


def failed(message: str) -> dict[str, t.Any]:
    """Return a failed result with a message that is safe to show."""
    return {"failed": True, "msg": visible(message, _LONGEST)}
