# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of dockerd, and what it and daemon.json call the same setting."""

from __future__ import annotations

import typing as t

BOOL, TEXT, LIST, MAP = "bool", "text", "list", "map"


class Known(t.NamedTuple):
    """A setting. flag: its long name in a command line. kind: of its value. default: None where the engine chooses."""

    flag: str
    kind: str
    default: t.Any = None


# By their names in daemon.json (dockerd(8), and cmd/dockerd/config.go of Moby). Of other settings the flags are
# understood by these rules as well, but nothing asks for them.
SETTINGS: t.Mapping[str, Known] = {
    "authorization-plugins": Known("authorization-plugin", LIST, []),
    "bridge": Known("bridge", TEXT, ""),
    "cgroup-parent": Known("cgroup-parent", TEXT, ""),
    "containerd": Known("containerd", TEXT, ""),
    "data-root": Known("data-root", TEXT),
    "debug": Known("debug", BOOL, False),
    "default-runtime": Known("default-runtime", TEXT),
    "default-ulimits": Known("default-ulimit", MAP, {}),
    "exec-opts": Known("exec-opt", LIST, []),
    "exec-root": Known("exec-root", TEXT),
    "experimental": Known("experimental", BOOL, False),
    "features": Known("feature", MAP, {}),
    "group": Known("group", TEXT, "docker"),
    "hosts": Known("host", LIST, []),
    "icc": Known("icc", BOOL, True),
    "init": Known("init", BOOL, False),
    "insecure-registries": Known("insecure-registry", LIST, []),
    "ip": Known("ip", TEXT, "0.0.0.0"),  # noqa: S104 - dockerd's default
    "ip6tables": Known("ip6tables", BOOL),
    "iptables": Known("iptables", BOOL, True),
    "labels": Known("label", LIST, []),
    "live-restore": Known("live-restore", BOOL, False),
    "log-driver": Known("log-driver", TEXT, "json-file"),
    "log-level": Known("log-level", TEXT, "info"),
    "log-opts": Known("log-opt", MAP, {}),
    "no-new-privileges": Known("no-new-privileges", BOOL, False),
    "registry-mirrors": Known("registry-mirror", LIST, []),
    "seccomp-profile": Known("seccomp-profile", TEXT, "builtin"),
    "selinux-enabled": Known("selinux-enabled", BOOL, False),
    "storage-driver": Known("storage-driver", TEXT),
    "storage-opts": Known("storage-opt", LIST, []),
    "tls": Known("tls", BOOL, False),
    "tlscacert": Known("tlscacert", TEXT),
    "tlscert": Known("tlscert", TEXT),
    "tlskey": Known("tlskey", TEXT),
    "tlsverify": Known("tlsverify", BOOL, False),
    "userland-proxy": Known("userland-proxy", BOOL, True),
    "userns-remap": Known("userns-remap", TEXT, ""),
}
NAMES: t.Mapping[str, str] = {known.flag: name for name, known in SETTINGS.items()}
# daemon.json may have these beside their flags: the engine joins them.
_JOINED = frozenset(("feature",))

_LETTERS = {
    "H": "host",
    "D": "debug",
    "l": "log-level",
    "s": "storage-driver",
    "g": "data-root",
    "b": "bridge",
    "G": "group",
    "p": "pidfile",
    "v": "version",
}
_RENAMED = {"graph": "data-root"}
_BOOLS = """
    allow-direct-routing bridge-accept-fwmark cri-containerd disable-legacy-registry help ip-forward ip-forward-no-drop
    ip-masq ipv6 raw-logs rootless validate version
"""
_OTHER_BOOLS = frozenset(_BOOLS.split())
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class Word(t.NamedTuple):
    """A word of a command line. origin: the file that it is written in, empty for that of a process."""

    text: str
    origin: str = ""


class Flag(t.NamedTuple):
    """A flag by its long name, with all values in their order. origin: the file that has the last of them."""

    name: str
    values: tuple[str, ...]
    origin: str


def parse(words: t.Iterable[Word]) -> dict[str, Flag]:
    """Return the flags of a command line by their long names, as Go's pflag reads them. words: without the program."""
    found: dict[str, Flag] = {}
    waiting = list(reversed(list(words)))

    def add(name: str, value: str, origin: str) -> None:
        name = _RENAMED.get(name, name)
        before = found[name].values if name in found else ()
        found[name] = Flag(name, (*before, value), origin)

    while waiting:
        word = waiting.pop()
        text = word.text
        if text == "--":
            break
        if text.startswith("--"):
            name, equals, value = text[2:].partition("=")
            if not equals:
                value = "true" if is_bool(name) or not waiting else waiting.pop().text
            add(name, value, word.origin)
        elif text.startswith("-") and len(text) > 1:
            letters = text[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                name = _LETTERS.get(letter, letter)
                if letters.startswith("="):
                    add(name, letters[1:], word.origin)
                    break
                if is_bool(name):
                    add(name, "true", word.origin)
                    continue
                if letters or waiting:
                    add(name, letters or waiting.pop().text, word.origin)
                break
    return found


def is_bool(flag: str) -> bool:
    return flag in _OTHER_BOOLS or (flag in NAMES and SETTINGS[NAMES[flag]].kind == BOOL)


def value_of(flag: Flag) -> t.Any:
    """Return the value of a flag in the form that daemon.json has it in."""
    kind = SETTINGS[NAMES[flag.name]].kind
    last = flag.values[-1]
    if kind == BOOL:
        return True if last in _TRUE else False if last in _FALSE else last
    if kind == LIST:
        return list(flag.values)
    if kind == MAP:
        pairs = [value.partition("=") for value in flag.values]
        return {name: value for name, _equals, value in pairs}
    return last


def conflicts(flags: t.Mapping[str, Flag], keys: t.Collection[str]) -> tuple[str, ...]:
    """Return the keys of daemon.json that are flags as well, with which an engine refuses to start."""
    found = set()
    for name in flags:
        # Flags that can be given several times have the plural there.
        for key in (name, name + "s", name[:-1] + "ies"):
            if key in keys and name not in _JOINED:
                found.add(key)
    return tuple(sorted(found))
