# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The allowlist of one host as the controller compiled it: rules, and exceptions that people made."""

from __future__ import annotations

import re
import typing as t

_PATTERN = re.compile(r"[*?\[]")


class Rule(t.NamedTuple):
    """A rule about programs that may run. Exactly one of package, directory and sha256 is given.

    role: the allowlist file that it is from. package: by name, with manager ("dpkg", "rpm") and, where it is given,
    origin; its files count as far as they are as the package says. allow_unverified: also those of which the package
    records no digest. directory: every file below it, as long as nobody but root can write there. except_sha256:
    contents that a package or directory does not cover, because the fleet disagrees about them: other hosts have
    another file at the same version. sha256: a file of this content, at path where that is given. image: of containers
    the rule is for, "" for the host itself.
    """

    role: str
    package: str = ""
    manager: str = ""
    origin: str = ""
    allow_unverified: bool = False
    directory: str = ""
    sha256: str = ""
    path: str = ""
    image: str = ""
    except_sha256: tuple[str, ...] = ()


class Exemption(t.NamedTuple):
    """An exception: a person let a program run.

    program: a path, or a pattern of fnmatch(3) in which * matches slashes, too; of a container "IMAGE: PATH". sha256,
    user: "" for any. until: seconds since the epoch, None for ever.
    """

    program: str
    reason: str
    by: str
    sha256: str = ""
    user: str = ""
    until: float | None = None

    @property
    def is_pattern(self) -> bool:
        return bool(_PATTERN.search(self.program))


class Allowlist(t.NamedTuple):
    """All that counts for one host. roles: the names of its allowlist files."""

    roles: tuple[str, ...]
    rules: tuple[Rule, ...]
    exemptions: tuple[Exemption, ...]


def with_daemon(allowlist: Allowlist) -> Allowlist:
    """Return an allowlist that is enforced: fapolicyd runs on each such host, as far as it is as its package says."""
    rules = (Rule("the enforcement", package="fapolicyd", manager=manager) for manager in ("dpkg", "rpm"))
    return allowlist._replace(rules=(*allowlist.rules, *rules))


class Verdict(t.NamedTuple):
    """The result for one program.

    allowed: whether it is on the allowlist. by: the rule or exemption in words, or why there is none. alert: the id
    that a violation has, "" for what is allowed. severity: where it is another than that of the alert.
    """

    allowed: bool
    by: str
    alert: str = ""
    severity: str | None = None
