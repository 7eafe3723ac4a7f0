# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read settings that make the system run or load something: udev, PAM, linker, sudo, kernel modules, init."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.investigation import mentions
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence.model import (
    MOST_COMMANDS,
    MOST_PROGRAMS,
    Source,
    Startup,
    of_commands,
)

# udev(7): RUN, RUN{program}, PROGRAM and IMPORT{program} start a program.
_UDEV = re.compile(rb"(?:RUN(?:\{program\})?|PROGRAM|IMPORT\{program\})\s*(?:==?|\+=|:=|!=)\s*e?\"((?:[^\"\\]|\\.)*)\"")
_PAM_MODULE = re.compile(
    rb"\s-?(?:auth|account|password|session)[ \t]+(?:\[[^\]\n]{0,500}\]|\S{1,40})[ \t]+(\S{1,1000}\.so\S{0,40})(.*)"
)
_KERNEL = re.compile(rb"\s*(install|remove|options|alias|softdep)\s+(\S+)\s*(.*)")
_INITTAB = re.compile(rb"[^#:]*:[^:]*:[^:]*:(.*)")
_SUDO_FREE = re.compile(rb"NOPASSWD|!authenticate|SETENV|env_keep|secure_path|!requiretty|timestamp_timeout")
_SUDO_COMMANDS = re.compile(rb"=\s*(?:\([^)]*\))?\s*(?:[A-Z_]+:\s*)*(.*)")
_SSHD = re.compile(
    rb"\s*(AuthorizedKeysCommand|AuthorizedKeysFile|AuthorizedPrincipalsCommand|ForceCommand|Subsystem|TrustedUserCAKeys"
    rb"|ProxyCommand|LocalCommand|PermitRootLogin|PAMServiceName)\s+(.*)",
    re.IGNORECASE,
)
_APT = re.compile(
    rb"(?:Invoke|Pre-Install-Pkgs)[\w:-]{0,40}\s{0,40}\{?[^\"]{0,200}\"((?:[^\"\\]|\\.)*)\"", re.IGNORECASE
)
# logrotate(8): the commands of these blocks run before and after a rotation; other paths are those of logs.
_ROTATION = re.compile(
    rb"^[ \t]*(?:prerotate|postrotate|firstaction|lastaction|preremove)\b[^\n]*\n(.*?)^[ \t]*endscript\b",
    re.MULTILINE | re.DOTALL,
)


def script(source: Source) -> Startup:
    """Read a program that is started itself, and the programs that its text names."""
    return Startup((), (source.path,), (), {})


def text(source: Source) -> Startup:
    """Read commands of a shell, or any other file whose text names what it starts."""
    if not mentions.is_text(source.content):
        return Startup((), (), (), {})
    lines = [line.strip() for line in source.content.splitlines()]
    named = [line for line in lines if b"/" in line and not line.startswith(b"#")]
    return Startup(tuple(named[:MOST_COMMANDS]), mentions.find(b"\n".join(named)).paths[:MOST_PROGRAMS], (), {})


def udev(source: Source) -> Startup:
    return of_commands(match.group(1) for match in _UDEV.finditer(_without_comments(source.content)))


def pam(source: Source) -> Startup:
    """Read a service of PAM (pam.conf(5)); modules without a directory are those of the distribution."""
    lines = list(_PAM_MODULE.finditer(b"\n" + _without_comments(source.content)))
    # Names alone say little: only modules that are named by a path, and pam_exec, which starts a program.
    named = [match.group(1) + match.group(2) for match in lines if b"/" in match.group(1) + match.group(2)]
    return of_commands(named, modules=sorted({_text(match.group(1)) for match in lines})[:MOST_COMMANDS])


def preload(source: Source) -> Startup:
    """Read ld.so.preload (ld.so(8)): libraries that each program loads, separated by blanks or colons."""
    names = [name for name in re.split(rb"[\s:]+", _without_comments(source.content)) if name]
    return Startup(tuple(names[:MOST_COMMANDS]), tuple(name for name in names[:MOST_PROGRAMS] if name[:1] == b"/"))


def directories(source: Source) -> Startup:
    """Read ld.so.conf(5): directories where libraries are looked for."""
    names = [line.strip() for line in _without_comments(source.content).splitlines() if line.strip()]
    return Startup(tuple(names[:MOST_COMMANDS]), tuple(name for name in names[:MOST_PROGRAMS] if name[:1] == b"/"))


def sudoers(source: Source) -> Startup:
    """Read sudoers(5): rules that ask for no password or change the environment, and the accounts that they are for."""
    lines = [line for line in _without_comments(source.content).replace(b"\\\n", b" ").splitlines() if line.strip()]
    rules = [line.strip() for line in lines if not line.startswith((b"Defaults", b"@", b"#"))]
    # With its colon, this tag looks like a password that follows, and what it allows would be masked.
    named = [line.strip().replace(b"PASSWD:", b"PASSWD") for line in lines if line in rules or _SUDO_FREE.search(line)]
    accounts = [_text(line.split()[0]) for line in rules if line.split() and not line.startswith((b"%", b"+"))]
    programs = [_SUDO_COMMANDS.search(line) for line in rules]
    paths = mentions.find(b"\n".join(match.group(1) for match in programs if match)).paths
    return Startup(tuple(named[:MOST_COMMANDS]), paths[:MOST_PROGRAMS], tuple(accounts), {})


def modprobe(source: Source) -> Startup:
    """Read modprobe.d(5): commands in place of modules, and options of modules."""
    matches = [match for match in map(_KERNEL.match, source.content.splitlines()) if match]
    commands = [match.group(3) for match in matches if match.group(1) in (b"install", b"remove")]
    options = [_text(match.group().strip()) for match in matches if match.group(1) == b"options"]
    return of_commands(commands, options=options[:MOST_COMMANDS])


def modules(source: Source) -> Startup:
    """Read modules-load.d(5): the names of kernel modules that are loaded at boot."""
    names = [_text(line.split()[0]) for line in _without_comments(source.content).splitlines() if line.split()]
    return Startup((), (), (), {"modules": names[:MOST_COMMANDS]} if names else {})


def inittab(source: Source) -> Startup:
    return of_commands(match.group(1) for match in map(_INITTAB.match, source.content.splitlines()) if match)


def sshd(source: Source) -> Startup:
    """Read settings of sshd and of its clients that start a program or say whose keys let somebody in."""
    lines = [match for match in map(_SSHD.match, source.content.splitlines()) if match]
    return of_commands(b"%s %s" % (match.group(1), match.group(2)) for match in lines)


def rotation(source: Source) -> Startup:
    """Read the commands of logrotate(8), without the logs that it rotates."""
    blocks = _ROTATION.finditer(_without_comments(source.content) + b"\n")
    return of_commands(line.strip() for block in blocks for line in block.group(1).splitlines())


def apt(source: Source) -> Startup:
    """Read the commands that apt and dpkg run (apt.conf(5): Pre-Invoke, Post-Invoke and the like)."""
    return of_commands(match.group(1) for match in _APT.finditer(source.content))


def _without_comments(content: bytes) -> bytes:
    return b"\n".join(line for line in content.splitlines() if not _is_comment(line))


def _is_comment(line: bytes) -> bool:
    # sudoers(5): #includedir and #1000 are none.
    return line.lstrip().startswith(b"#") and not re.match(rb"\s*#(?:include|\d)", line)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
