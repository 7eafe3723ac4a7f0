# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for the walk (``widen``): which links of a node are followed, and which role the neighbours get."""

from __future__ import annotations

import typing as t

LEAF, SOURCE, UP, CORE = range(4)
_OUT, _IN = True, False
# More neighbours than these mean nothing.
_FEW, _SOME, MANY = 4, 8, 64
# If more changed at the same time, it was an installation, or something else without a connection.
_CLOSE = 12


class Rule(t.NamedTuple):
    """The target of a link. most: neighbours by links of this kind, above which none is followed; None: any number."""

    role: int
    most: int | None
    text: str


# By the role of a node, its kind, the relation, whether it is the link's source, and the kind of the other end ("" for
# any other). The text says why the other end is there; %s is the node that leads to it.
RULES: t.Mapping[tuple[int, str, str, bool, str], Rule] = {
    (CORE, "process", "started", _OUT, ""): Rule(CORE, None, "%s started it"),
    (CORE, "process", "started", _IN, ""): Rule(UP, None, "it started %s"),
    (CORE, "process", "started", _IN, "startup"): Rule(CORE, None, "it starts %s"),
    (CORE, "process", "started", _IN, "session"): Rule(CORE, None, "%s was started in it"),
    (CORE, "process", "executes", _OUT, ""): Rule(CORE, None, "%s executes it"),
    (CORE, "process", "loaded", _OUT, ""): Rule(CORE, None, "%s loaded it"),
    (CORE, "process", "opened", _OUT, ""): Rule(LEAF, MANY, "%s opened it"),
    (CORE, "process", "wrote", _OUT, ""): Rule(CORE, None, "%s wrote it"),
    (CORE, "process", "connected", _OUT, ""): Rule(CORE, None, "%s connected to it"),
    (CORE, "process", "connected", _IN, ""): Rule(LEAF, _SOME, "it connected to %s"),
    (CORE, "process", "listens", _OUT, ""): Rule(LEAF, None, "%s listens there"),
    (CORE, "process", "runs_as", _OUT, ""): Rule(LEAF, None, "%s runs as it"),
    (CORE, "process", "belongs_to", _OUT, ""): Rule(LEAF, None, "%s runs in it"),
    (CORE, "process", "belongs_to", _OUT, "session"): Rule(CORE, None, "%s belongs to it"),
    (CORE, "process", "near", _IN, ""): Rule(LEAF, _CLOSE, "it changed near %s in time"),
    (CORE, "file", "executes", _IN, ""): Rule(CORE, _SOME, "it executes %s"),
    (CORE, "file", "loaded", _IN, ""): Rule(CORE, _SOME, "it loaded %s"),
    (CORE, "file", "opened", _IN, ""): Rule(LEAF, _SOME, "it opened %s"),
    (CORE, "file", "wrote", _IN, ""): Rule(CORE, _SOME, "it wrote %s"),
    (CORE, "file", "starts", _IN, ""): Rule(CORE, _SOME, "it starts %s"),
    (CORE, "file", "mentions", _IN, "session"): Rule(CORE, _SOME, "a command in it named %s"),
    (CORE, "file", "mentions", _IN, ""): Rule(CORE, _SOME, "it mentions %s"),
    (CORE, "file", "mentions", _OUT, ""): Rule(CORE, _SOME, "%s mentions it"),
    (CORE, "file", "belongs_to", _OUT, ""): Rule(LEAF, None, "%s belongs to it"),
    (CORE, "file", "defined_by", _IN, ""): Rule(CORE, None, "%s defines it"),
    (CORE, "file", "requested", _IN, ""): Rule(SOURCE, _SOME, "it requested %s"),
    (CORE, "startup", "starts", _OUT, ""): Rule(CORE, MANY, "%s starts it"),
    (CORE, "startup", "starts", _IN, ""): Rule(CORE, _SOME, "it starts %s"),
    (CORE, "startup", "mentions", _OUT, ""): Rule(CORE, MANY, "%s mentions it"),
    (CORE, "startup", "started", _OUT, ""): Rule(CORE, _SOME, "%s started it"),
    (CORE, "startup", "belongs_to", _OUT, ""): Rule(LEAF, None, "%s belongs to it"),
    (CORE, "startup", "defined_by", _OUT, ""): Rule(CORE, None, "it defines %s"),
    (CORE, "startup", "runs_as", _OUT, ""): Rule(LEAF, None, "%s runs as it"),
    (CORE, "startup", "near", _OUT, ""): Rule(LEAF, MANY, "%s changed near it in time"),
    (CORE, "startup", "mentions", _IN, "session"): Rule(CORE, _SOME, "%s let it in"),
    (CORE, "address", "connected", _IN, ""): Rule(CORE, _SOME, "it connected to %s"),
    (CORE, "address", "connected", _OUT, ""): Rule(LEAF, _SOME, "%s connected to it"),
    (CORE, "address", "mentions", _IN, ""): Rule(CORE, _SOME, "it mentions %s"),
    (CORE, "address", "signed_in", _OUT, ""): Rule(CORE, _SOME, "it was opened from %s"),
    (SOURCE, "address", "signed_in", _OUT, ""): Rule(LEAF, _SOME, "it was opened from %s"),
    (CORE, "address", "requested", _OUT, ""): Rule(CORE, _SOME, "%s asked a web server for it"),
    (CORE, "session", "belongs_to", _IN, ""): Rule(CORE, None, "it belongs to %s"),
    (CORE, "session", "started", _OUT, ""): Rule(CORE, None, "it was started in %s"),
    (CORE, "session", "wrote", _OUT, ""): Rule(CORE, None, "it was written in %s"),
    (CORE, "session", "signed_in", _IN, ""): Rule(SOURCE, None, "%s was opened by it"),
    (CORE, "session", "signed_in", _IN, "address"): Rule(SOURCE, None, "%s was opened from it"),
    (CORE, "session", "mentions", _OUT, "startup"): Rule(LEAF, None, "it let %s in"),
    (CORE, "session", "runs_as", _OUT, ""): Rule(LEAF, None, "%s runs as it"),
    (CORE, "account", "runs_as", _IN, ""): Rule(CORE, MANY, "it runs as %s"),
    (CORE, "account", "signed_in", _OUT, ""): Rule(CORE, MANY, "%s opened it"),
    (CORE, "account", "belongs_to", _IN, ""): Rule(LEAF, MANY, "it belongs to %s"),
    (CORE, "listener", "listens", _IN, ""): Rule(CORE, _SOME, "it listens at %s"),
    (CORE, "container", "belongs_to", _IN, ""): Rule(CORE, MANY, "it runs in %s"),
    (CORE, "package", "belongs_to", _IN, ""): Rule(LEAF, MANY, "it belongs to %s"),
    (CORE, "finding", "about", _OUT, ""): Rule(CORE, None, "%s is about it"),
    (UP, "process", "started", _IN, ""): Rule(UP, None, "it started %s"),
    (UP, "process", "started", _OUT, ""): Rule(CORE, None, "%s started it at the same time"),
    (UP, "process", "executes", _OUT, ""): Rule(LEAF, _FEW, "%s executes it"),
    (UP, "process", "listens", _OUT, ""): Rule(LEAF, _SOME, "%s listens there"),
    (UP, "process", "connected", _IN, ""): Rule(LEAF, _FEW, "it connected to %s"),
    **{
        (CORE, kind, "about", _IN, ""): Rule(LEAF, MANY, "it is about %s")
        for kind in ("process", "file", "address", "account", "session", "startup", "listener", "container")
    },
    # What starts by itself is changed seldom, and leads to the key or the program that was brought in.
    **{
        (CORE, kind, "near", _IN, "startup"): Rule(CORE, _CLOSE, "it was changed near %s in time")
        for kind in ("process", "file", "session")
    },
    **{(CORE, kind, "near", _IN, ""): Rule(LEAF, _CLOSE, "it changed near %s in time") for kind in ("file", "session")},
}
