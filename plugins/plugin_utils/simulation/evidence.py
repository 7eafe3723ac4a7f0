# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the evidence of a simulated alert must name: who did it, with which arguments, to which files and addresses."""

from __future__ import annotations

import re
import typing as t

# What of an argument looks the same in evidence, where quotes and control characters are escaped.
_WORD = re.compile(r"[\w/.:@%+=-]{3,}")
_PLACEHOLDER = re.compile(r"\{[a-z]+\}")
# Where passwords and keys of a command line were.
_LEFT_OUT = "***"


def missing(steps: t.Mapping[str, t.Any], texts: t.Sequence[str]) -> t.Iterator[str]:
    """Yield one sentence for each thing that none of these texts of evidence names."""
    runs = steps.get("runs") or ()
    programs = sorted({re.split(r"[/\\\\]", str(run["name"]))[-1] for run in runs})
    if programs and not any(name in text for text in texts for name in programs):
        yield f"the evidence names no program that did it, which is {' or '.join(programs)}"
    alternatives = [words for run in runs for words in _alternatives(run)]
    if alternatives and not any(_names(text, words) for text in texts for words in alternatives):
        yield f"the evidence doesn't say what was done: {' '.join(alternatives[0])}"


def _alternatives(run: t.Mapping[str, t.Any]) -> t.Iterator[list[str]]:
    """Yield the words of each thing of which one must be named: the arguments where a program only has these."""
    fields = [field for call in run.get("calls") or () for field in call.values()]
    objects = [field[name] for field in fields for name in ("path", "to", "address") if name in field]
    if objects:
        yield from (_words([text]) for text in objects)
    elif run.get("arguments"):
        yield _words(run["arguments"])
    elif run.get("line"):
        yield _words([run["line"]])


def _words(texts: t.Sequence[str]) -> list[str]:
    return [word for text in texts for part in _PLACEHOLDER.split(text) for word in _WORD.findall(part)]


def _names(text: str, words: t.Sequence[str]) -> bool:
    return all(word in text or _LEFT_OUT in text for word in words)
