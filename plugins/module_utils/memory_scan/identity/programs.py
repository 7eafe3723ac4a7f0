# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs are, by their names and command lines."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process

# What an interpreter was told to run.
COMMAND, SCRIPT, INPUT = "command", "script", "input"


class Task(t.NamedTuple):
    """What an interpreter runs: ``COMMAND`` (an argument), ``SCRIPT`` (``script`` is its path) or ``INPUT``."""

    kind: str
    script: bytes = b""


class Language(t.NamedTuple):
    """commands: options after which the program comes. values: options that take the next argument.

    letters: the same for options of one letter, which may stand together. attached_letters: what follows them in the
    same argument is their value.
    """

    name: str
    command_letters: bytes = b""
    value_letters: bytes = b""
    attached_letters: bytes = b""
    commands: frozenset[bytes] = frozenset()
    values: frozenset[bytes] = frozenset()


_SHELL = Language("shell", b"c", b"oO", b"", values=frozenset((b"--rcfile", b"--init-file")))
_PYTHON = Language("python", b"cm", b"WX", b"", values=frozenset((b"--check-hash-based-pycs",)))
_PERL = Language("perl", b"eE", b"I", b"MmDiFCxV")
_RUBY = Language("ruby", b"e", b"rIC", b"EFKTWix0")
_NODE = Language(
    "node",
    b"ep",
    b"rC",
    b"",
    frozenset((b"--eval", b"--print", b"--test", b"inspect")),
    frozenset((b"--require", b"--import", b"--loader", b"--experimental-loader", b"--conditions")),
)
_PHP = Language("php", b"rSaBRE", b"cdz")
_LUA = Language("lua", b"e", b"l")
_TCL = Language("tcl")

_LANGUAGES = (
    (re.compile(rb"(?:ba|da|z|k|mk|a|fi|tc|c|r|lk|pdk)?sh(?:5|93|-static|-[\d.]+)?"), _SHELL),
    (re.compile(rb"(?:python|pypy)[\d.]*[dmt]?"), _PYTHON),
    (re.compile(rb"perl[\d.]*"), _PERL),
    (re.compile(rb"ruby[\d.]*"), _RUBY),
    (re.compile(rb"node(?:js)?(?:-?\d+)?|bun|deno"), _NODE),
    (re.compile(rb"php[\d.]*"), _PHP),
    (re.compile(rb"lua(?:jit)?[\d.-]*(?:beta\d)?|texlua"), _LUA),
    (re.compile(rb"(?:tclsh|expect|wish)[\d.]*"), _TCL),
)
# With these, too, one can do anything.
_VERSATILE = re.compile(rb"nc(?:\.\w+)?|ncat|socat1?|[mg]?awk|gdb|openssl|screen|tmux|cat|dd|xxd|sleep|tail|yes")
_LOADER = re.compile(rb"ld(?:64|-linux[\w-]*|-musl-[\w-]+|-\d[\d.]*|-[\w-]+)?\.so(?:\.\d)?")
_LOADER_VALUES = frozenset(
    b"--" + name
    for name in (b"library-path inhibit-rpath audit preload argv0 glibc-hwcaps-prepend glibc-hwcaps-mask".split())
)

# A name of these is one that people trust. Each is a program of its own on all distributions, no script.
_DAEMONS = frozenset(
    b"""
    NetworkManager ModemManager accounts-daemon acpid agetty apache2 atd auditd avahi-daemon bluetoothd chronyd colord
    containerd cron crond cupsd dbus-broker dbus-daemon dhclient dhcpcd dnsmasq dockerd exim4 gdm3 getty haproxy httpd
    init irqbalance iscsid kubelet lightdm login lvmetad mariadbd mcelog mdadm memcached multipathd mysqld named nginx
    nscd ntpd ntpsec packagekitd php-fpm polkitd postgres postmaster qemu-ga redis-server rngd rpcbind rpc.statd
    rsyslogd rtkit-daemon smartd snapd sshd sssd syslog-ng syslogd systemd thermald udevd udisksd upowerd vmtoolsd
    vsftpd wpa_supplicant xinetd
    """.split()
)
_DAEMON = re.compile(rb"systemd-[a-z0-9-]{3,40}")
# Names that go by one program.
_SAME = (
    frozenset(b"mysqld mariadbd mysqld_safe".split()),
    frozenset(b"httpd apache2 apache".split()),
    frozenset(b"postgres postmaster".split()),
    frozenset(b"cron crond cronie fcron".split()),
    frozenset(b"systemd-udevd udevd udevadm".split()),
    frozenset(b"getty agetty mingetty fgetty".split()),
    frozenset(b"ntpd ntpsec openntpd".split()),
    frozenset(
        b"init systemd tini docker-init dumb-init catatonit runit runit-init openrc-init s6-svscan finit".split()
    ),
    frozenset(b"syslogd rsyslogd syslog-ng".split()),
    frozenset(b"redis-server redis-check-rdb redis-check-aof valkey-server".split()),
)
_MULTI_CALL = re.compile(rb"busybox(?:\.\w+)?|toybox|sbase-box|coreutils|systemd-executor|k3s|rke2|hyperkube|kubelite")

_BUILDERS = frozenset(
    b"""
    bazel cargo cargo-nextest cmake configure conftest ctest dpkg dpkg-buildpackage debuild dune go gotestsum gradle
    gmake make meson mvn ninja nix-build nix-daemon pytest rake rpm rpmbuild rustc samu sbuild tox nox zig
    """.split()
)

# What people and their automation come in by, or start things by at a certain time: to feed a program to an
# interpreter through a pipe is everyday work for them.
_ENTRANCES = re.compile(
    rb"sshd(?:-session)?|dropbear|sudo|su|doas|pkexec|crond?|CRON|atd|login|ansible[\w-]*|gitlab-runner[\w-]*"
    rb"|Runner\.(?:Worker|Listener)|buildkite-agent|act_runner|woodpecker-agent|jenkins-agent|teamcity-agent|salt-minion"
    rb"|puppet|chef-client|cloud-init|qemu-ga|waagent|amazon-ssm-agent|ssm-agent-worke|ssm-document-wo|dpkg|rpm|apt"
    rb"|apt-get|dnf5?|yum|zypper|containerd-shim[\w-]*|conmon|docker|podman|lxc[\w-]*|lxd|incus[\w.-]*|crun|runc|dockerd|buildkitd|buildah"
)
_DOWNLOADERS = re.compile(rb"curl|wget2?|fetch|aria2c|lwp-download|GET")
_DOWNLOAD_PIPED = re.compile(
    rb"\b(?:curl|wget2?|fetch|aria2c)\b[^|]{1,2000}\|[^|]{0,200}\b(?:(?:ba|da|z|k|a)?sh|python[\d.]*|perl|ruby|node|php)\b"
    # The same as a file that is none: "bash <(curl ...)".
    rb"|<\(\s{0,20}(?:curl|wget2?|fetch|aria2c)\b"
)


def base(path: bytes | None) -> bytes:
    """Return the last part of a path; b"" for none."""
    return posixpath.basename(path or b"")


def language(process: Process) -> Language | None:
    """Return what an interpreter is one of; None for other programs."""
    name = base(process.executable)
    if _MULTI_CALL.fullmatch(name):
        # What it is to be is said by the name it was started by, or after that.
        given = arguments(process)
        return _SHELL if given and base(given[0]).lstrip(b"-") in (b"sh", b"ash", b"hush", b"bash") else None
    for pattern, found in _LANGUAGES:
        if pattern.fullmatch(name):
            return found
    return None


def is_shell(spoken: Language) -> bool:
    """Say whether a language is that of shells."""
    return spoken is _SHELL


def arguments(process: Process) -> tuple[bytes, ...]:
    """Return the command line of a process; of one that is many programs, that of the one that it is."""
    given = process.arguments
    if len(given) > 1 and _MULTI_CALL.fullmatch(base(process.executable)) and _MULTI_CALL.fullmatch(base(given[0])):
        return given[1:]
    return given


def is_versatile(process: Process) -> bool:
    """Say whether a program does whatever it is told, so that being an ordinary program says nothing of it."""
    return language(process) is not None or bool(_VERSATILE.fullmatch(base(process.executable)))


def is_titled(process: Process) -> bool:
    """Say whether an interpreter's command line was overwritten with a text for people, as setproctitle does."""
    given = arguments(process)
    if not given:
        return True
    name = base(given[0].lstrip(b"-").partition(b" ")[0])
    return not any(pattern.fullmatch(name) for pattern, _language in _LANGUAGES)


def task(spoken: Language, arguments: t.Sequence[bytes]) -> Task:
    """Return what an interpreter's command line tells it to run."""
    rest = list(arguments[1:])
    while rest:
        one = rest.pop(0)
        if one == b"-" or one in (b"/dev/stdin", b"/proc/self/fd/0", b"/dev/fd/0"):
            return Task(INPUT)
        if one == b"--":
            return Task(SCRIPT, rest[0]) if rest and spoken.name != "php" else Task(INPUT)
        if one in spoken.commands:
            return Task(COMMAND)
        if not one.startswith((b"-", b"+")):
            return Task(SCRIPT, one)
        if one.startswith(b"--"):
            if one in spoken.values and rest:
                rest.pop(0)
            continue
        kind = _letters(spoken, one, rest)
        if kind is not None:
            return kind
    return Task(INPUT)


def _letters(spoken: Language, one: bytes, rest: list[bytes]) -> Task | None:
    """Return what options of one letter say of it; take the value of the last one off the rest."""
    letters = one[1:]
    if spoken.name == "shell" and b"s" in letters and b"c" not in letters:
        return Task(INPUT)
    if spoken.name == "php" and letters[:1] in (b"f", b"F"):
        return Task(SCRIPT, letters[1:] or (rest[0] if rest else b""))
    for place in range(len(letters)):
        letter = letters[place : place + 1]
        if letter in spoken.command_letters:
            return Task(COMMAND)
        if letter in spoken.value_letters:
            if place + 1 == len(letters) and rest:
                rest.pop(0)
            # Shells go on after it: "-oe pipefail".
            if spoken.name != "shell":
                break
        elif letter in spoken.attached_letters:
            break
    return None


def is_loader(process: Process) -> bool:
    """Say whether it is the dynamic loader itself that was executed (ld.so(8))."""
    return bool(_LOADER.fullmatch(base(process.executable)))


def loaded(arguments: t.Sequence[bytes]) -> bytes | None:
    """Return the program that a dynamic loader was told to run."""
    rest = list(arguments[1:])
    while rest:
        one = rest.pop(0)
        if not one.startswith(b"--"):
            return one
        if one in _LOADER_VALUES and rest:
            rest.pop(0)
    return None


def is_daemon(name: bytes) -> bool:
    """Say whether a name is that of a well-known program of the system."""
    return name in _DAEMONS or bool(_DAEMON.fullmatch(name))


def go_together(claimed: bytes, real: bytes) -> bool:
    """Say whether a program may well call itself so: another name of it, or part of the same thing."""
    if real.startswith(claimed) or _MULTI_CALL.fullmatch(real):
        return True
    if claimed.startswith(b"systemd") and real.startswith(b"systemd"):
        return True
    return any(claimed in names and real in names for names in _SAME)


def is_builder(process: Process) -> bool:
    """Say whether it compiles and tests programs, and so runs what it has made."""
    names = {process.name, base(process.executable), *map(base, process.arguments[:3])}
    return bool(names & _BUILDERS)


def is_entrance(process: Process) -> bool:
    """Say whether people or their automation come in by it."""
    return is_entrance_by_file(process) or bool(_ENTRANCES.fullmatch(process.name))


def is_entrance_by_file(process: Process) -> bool:
    """Say the same of its file's name alone: the name of a process is whatever it calls itself."""
    return bool(_ENTRANCES.fullmatch(base(process.executable)))


def is_downloader(process: Process) -> bool:
    """Say whether it fetches what it is told from the network."""
    return bool(_DOWNLOADERS.fullmatch(base(process.executable)))


def pipes_a_download(process: Process) -> bool:
    """Say whether a shell's command line hands what it downloads to an interpreter."""
    return any(_DOWNLOAD_PIPED.search(argument[:4096]) for argument in process.arguments[1:8])


def ancestors(process: Process, processes: t.Mapping[int, Process], most: int = 12) -> list[Process]:
    """Return the processes that it comes from, the nearest first, as far as they are known."""
    found: list[Process] = []
    seen = {process.pid}
    parent = process.parent
    while parent not in seen and parent in processes and len(found) < most:
        seen.add(parent)
        found.append(processes[parent])
        parent = processes[parent].parent
    return found
