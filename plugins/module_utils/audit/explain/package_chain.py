# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from a process and its ancestors whether a package manager acts, by the programs that the kernel attests.

That alone explains nothing: a manager runs whatever it is told to, and a program in its memory can be another one. It
says which proof is needed (``package_proof``), and leaves out what no proof could be found for.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

DPKG, RPM = "dpkg", "rpm"

_DPKG = "/usr/bin/dpkg"
_RPM_PROGRAMS = frozenset(
    ("/usr/bin/rpm", "/bin/rpm", "/usr/bin/dnf5", "/usr/bin/microdnf", "/usr/bin/dnf", "/usr/bin/dnf-3", "/usr/bin/yum")
)
_APT = frozenset(("/usr/bin/apt", "/usr/bin/apt-get", "/usr/bin/aptitude"))
_UNATTENDED = ("/usr/bin/unattended-upgrade", "/usr/bin/unattended-upgrades")
# Only root writes there, and what is there usually comes with packages; /usr/local is the administrator's.
_SYSTEM = re.compile(r"(?:/usr)?/(?:s?bin|lib(?:32|64|x32|exec)?)/|/usr/share/|/var/lib/dpkg/(?:info|tmp\.ci)/")
_SCRIPT = re.compile(r"/var/lib/dpkg/info/([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)?\.(preinst|postinst|prerm|postrm)\Z")

# dpkg(1): what apt calls it with. What runs commands (--pre-invoke) or works elsewhere (--root) is not among it.
_DPKG_OPTION = re.compile(
    r"--(?:status-fd|configure|unpack|install|remove|purge|pending|triggers-only|no-triggers|auto-deconfigure"
    r"|recursive|abort-after|no-pager|force-(?:conf(?:def|old|new|miss)|depends|remove-essential|remove-protected"
    r"|unsafe-io))(?:=\d+)?\Z|-[aiO]\Z"
)
_DPKG_OPERAND = re.compile(
    r"\d+\Z|/var/cache/apt/archives/[^/]+\.deb\Z|/tmp/apt-dpkg-install-\w+/?\Z|[a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?\Z"
)
# apt-get(8): options that neither run something nor change where packages come from.
_APT_OPTION = re.compile(
    r"-(?:[yqfmuV]+|q=\d)\Z|--(?:yes|assume-yes|quiet|fix-broken|fix-missing|show-upgraded|verbose-versions|reinstall"
    r"|(?:no-)?install-(?:recommends|suggests)|only-upgrade|no-upgrade|with-new-pkgs|auto-?remove|purge|no-remove"
    r"|allow-(?:downgrades|change-held-packages|remove-essential)|show-progress)(?:=(?:true|false|\d))?\Z",
    re.IGNORECASE,
)
_APT_SETTING = re.compile(
    r"(?:dpkg::options::=--force-conf(?:def|old|new|miss)|apt::install-(?:recommends|suggests)=\w+"
    r"|dpkg::use-pty=\d|dpkg::progress-fancy=\w+|quiet=\d|dpkg::lock::timeout=\d+|apt::get::assume-yes=\w+)\Z",
    re.IGNORECASE,
)
_APT_COMMANDS = frozenset(
    ("install", "upgrade", "full-upgrade", "dist-upgrade", "safe-upgrade", "reinstall")
    + ("remove", "purge", "autoremove", "autopurge")
)
_APT_OPERAND = re.compile(r"[a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?(?:[=/][\w.+~:-]+)?\Z")
_TARGETS = frozenset(("-t", "--target-release", "--default-release"))
# So many bytes of arguments are kept (``processes``); the last that fits may be cut.
_LONGEST = 2_048
# Of a frontend that forks: unattended-upgrade does once, its library another time.
_MOST_COPIES = 4


class Link(t.NamedTuple):
    """One process. exe: by the kernel. original: the script that was executed. arguments: of EXECVE, else None."""

    exe: str
    original: str
    arguments: tuple[str, ...] | None


class Chain(t.NamedTuple):
    """A package manager and what it started.

    package, script: whose maintainer script acts, and which one; None where the manager or a helper of it does.
    has_frontend: apt started it, with arguments that say nothing but which packages of its repositories it shall take.
    is_itself: it is the manager that acts, and no program that it started.
    """

    manager: str
    package: str | None
    script: str | None
    has_frontend: bool
    is_itself: bool


def link(process: Process) -> Link:
    raw = process.arguments
    arguments = None
    if raw.startswith(b"argc="):
        arguments = activity.process_arguments(process)
        if len(raw) >= _LONGEST:
            arguments = arguments[:-1]
    return Link(activity.process_image(process), activity.process_original(process), arguments)


def read_chain(actor: Link, ancestors: t.Iterable[Process]) -> Chain | None:
    """Return the nearest package manager of a process, None where there is none or where it can't be understood."""
    package = script = None
    links = [actor, *map(link, ancestors)]
    for number, current in enumerate(links):
        if current.exe == _DPKG:
            if not _is_plain_dpkg(current):
                return None
            return Chain(DPKG, package, script, _has_frontend(links[number + 1 :]), not number)
        if current.exe in _RPM_PROGRAMS or current.original in _RPM_PROGRAMS:
            return Chain(RPM, None, None, False, not number)
        if not _is_of_system(current):
            return None
        found = _SCRIPT.match(current.original)
        if found is not None and package is None:
            package, script = found.groups()
    return None


def _is_of_system(current: Link) -> bool:
    """Say whether a process runs what is installed: program and script alike."""
    is_script = current.original.startswith("/")
    return bool(_SYSTEM.match(current.exe)) and (not is_script or bool(_SYSTEM.match(current.original)))


def _is_plain_dpkg(current: Link) -> bool:
    if current.arguments is None:
        return False
    return all(
        (_DPKG_OPTION if argument.startswith("-") else _DPKG_OPERAND).match(argument)
        for argument in current.arguments[1:]
    )


def _has_frontend(above: t.Sequence[Link]) -> bool:
    """Say whether a frontend started dpkg, itself or by a copy of itself, which is known without what it executed."""
    for number, current in enumerate(above[:_MOST_COPIES]):
        if current.original or number + 1 >= len(above) or above[number + 1].exe != current.exe:
            return _is_plain_frontend(current)
    return False


def _is_plain_frontend(current: Link) -> bool:
    if current.arguments is None:
        return False
    if current.original in _UNATTENDED and current.exe.startswith("/usr/bin/python3"):
        return all(argument in ("-v", "-d", "--verbose") for argument in current.arguments[2:])
    return current.exe in _APT and _is_plain_apt(current.arguments[1:])


def _is_plain_apt(arguments: t.Sequence[str]) -> bool:
    operands: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-o", "--option"):
            if not _APT_SETTING.match(next(rest, "")):
                return False
        elif argument in _TARGETS:
            next(rest, None)
        elif argument.startswith("-o"):
            if not _APT_SETTING.match(argument[2:]):
                return False
        elif argument.startswith("-"):
            if not _APT_OPTION.match(argument):
                return False
        else:
            operands.append(argument)
    if not operands or operands[0] not in _APT_COMMANDS:
        return False
    return all(_APT_OPERAND.match(name) and not name.endswith((".deb", ".dsc", ".changes")) for name in operands[1:])
