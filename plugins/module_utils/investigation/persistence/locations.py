# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the paths at which systems define startups, with the reader of each file."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence import (
    containers,
    jobs,
    keys,
    settings,
    units,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence.model import Reader

MOST_FILES = 10_000
_WILD = re.compile(r"[*?\[]")
_NO_FILES = frozenset((b".placeholder", b"README", b".SEQ"))


class Location(t.NamedTuple):
    """kind: what people call it. patterns: of paths, separated by blanks; ``~`` stands for each home directory."""

    kind: str
    reader: Reader
    patterns: str


_UNIT_SUFFIXES = ("service", "timer", "socket", "path", "mount", "swap")
_UNIT_DIRECTORIES = (
    "/etc/systemd/{0} /run/systemd/{0} /usr/local/lib/systemd/{0} /usr/lib/systemd/{0} /lib/systemd/{0} "
    "/run/systemd/transient /run/systemd/generator /run/systemd/generator.early /run/systemd/generator.late"
)


def _units(directories: str) -> str:
    names = [*("*." + suffix for suffix in _UNIT_SUFFIXES), "*.d/*.conf"]
    return " ".join("%s/%s" % (directory, name) for directory in directories.split() for name in names)


LOCATIONS: tuple[Location, ...] = (
    Location("preloaded library", settings.preload, "/etc/ld.so.preload"),
    Location("library directory", settings.directories, "/etc/ld.so.conf /etc/ld.so.conf.d/*"),
    Location("crontab", jobs.system_table, "/etc/crontab /etc/cron.d/*"),
    Location("crontab", jobs.account_table, "/var/spool/cron/crontabs/* /var/spool/cron/* /etc/crontabs/*"),
    Location("crontab", jobs.anacron_table, "/etc/anacrontab"),
    Location(
        "cron script",
        settings.script,
        "/etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/* /etc/cron.yearly/* "
        "/etc/periodic/*/*",
    ),
    Location("at job", jobs.at_job, "/var/spool/at/* /var/spool/atjobs/* /var/spool/cron/atjobs/*"),
    Location(
        "SSH key file",
        keys.authorized,
        "~/.ssh/authorized_keys ~/.ssh/authorized_keys2 /etc/ssh/authorized_keys/*",
    ),
    Location("SSH setting", settings.sshd, "/etc/ssh/sshd_config /etc/ssh/sshd_config.d/* ~/.ssh/config"),
    Location("SSH login script", settings.text, "~/.ssh/rc ~/.ssh/environment /etc/ssh/sshrc"),
    Location("systemd unit", units.unit, _units(_UNIT_DIRECTORIES.format("system"))),
    Location(
        "systemd user unit",
        units.unit,
        _units(
            "/etc/systemd/user /usr/lib/systemd/user /usr/local/lib/systemd/user /run/systemd/user "
            "~/.config/systemd/user ~/.local/share/systemd/user /run/user/*/systemd/user"
        ),
    ),
    Location(
        "systemd generator",
        settings.script,
        " ".join(
            "%s/systemd/%s/*" % (directory, name)
            for directory in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
            for name in (
                *("system-generators", "user-generators", "system-environment-generators"),
                *("user-environment-generators", "system-shutdown", "system-sleep"),
            )
        ),
    ),
    Location(
        "environment",
        units.environment,
        "/etc/environment /etc/environment.d/* ~/.config/environment.d/* ~/.pam_environment",
    ),
    Location(
        "udev rule",
        settings.udev,
        "/etc/udev/rules.d/* /run/udev/rules.d/* /usr/local/lib/udev/rules.d/* /usr/lib/udev/rules.d/* "
        "/lib/udev/rules.d/*",
    ),
    Location(
        "shell profile",
        settings.text,
        "/etc/profile /etc/profile.d/* /etc/bash.bashrc /etc/bashrc /etc/bash.bash_logout /etc/zshenv /etc/zshrc "
        "/etc/zsh/* "
        "/etc/csh.cshrc /etc/csh.login /etc/fish/config.fish "
        "~/.bashrc ~/.bash_profile ~/.bash_login ~/.bash_aliases ~/.bash_logout ~/.profile ~/.zshrc ~/.zshenv "
        "~/.zprofile "
        "~/.zlogin ~/.kshrc ~/.cshrc ~/.tcshrc ~/.xprofile ~/.xinitrc ~/.xsession ~/.config/fish/config.fish",
    ),
    Location("autostart", units.unit, "/etc/xdg/autostart/*.desktop ~/.config/autostart/*.desktop"),
    Location(
        "D-Bus service",
        units.unit,
        "/usr/share/dbus-1/system-services/* /usr/share/dbus-1/services/* ~/.local/share/dbus-1/services/*",
    ),
    Location("PAM service", settings.pam, "/etc/pam.d/* /etc/pam.conf /usr/lib/pam.d/*"),
    Location(
        "PAM module",
        settings.script,
        "/usr/lib/security/* /usr/lib64/security/* /usr/lib/*-linux-*/security/*.so /lib/security/* "
        "/lib/*-linux-*/security/*.so",
    ),
    Location("sudo rule", settings.sudoers, "/etc/sudoers /etc/sudoers.d/*"),
    Location(
        "polkit rule",
        settings.text,
        "/etc/polkit-1/rules.d/* /usr/share/polkit-1/rules.d/* /var/lib/polkit-1/localauthority/*/*.pkla",
    ),
    Location(
        "kernel module setting",
        settings.modprobe,
        "/etc/modprobe.conf /etc/modprobe.d/* /run/modprobe.d/* /usr/lib/modprobe.d/* /lib/modprobe.d/*",
    ),
    Location(
        "kernel modules at boot",
        settings.modules,
        "/etc/modules /etc/modules-load.d/* /run/modules-load.d/* /usr/lib/modules-load.d/*",
    ),
    Location(
        "init script",
        settings.script,
        "/etc/init.d/* /etc/rc.local /etc/rc.d/rc.local /etc/rc.d/init.d/* /etc/local.d/*",
    ),
    Location("inittab", settings.inittab, "/etc/inittab"),
    Location("upstart job", settings.text, "/etc/init/*.conf"),
    Location("login message script", settings.script, "/etc/update-motd.d/*"),
    Location("package manager hook", settings.apt, "/etc/apt/apt.conf /etc/apt/apt.conf.d/* /etc/dpkg/dpkg.cfg.d/*"),
    Location(
        "network hook",
        settings.script,
        "/etc/NetworkManager/dispatcher.d/* /etc/network/if-up.d/* /etc/network/if-pre-up.d/* "
        "/etc/network/if-down.d/* "
        "/etc/network/if-post-down.d/* /etc/dhcp/dhclient-enter-hooks.d/* /etc/dhcp/dhclient-exit-hooks.d/* "
        "/etc/ppp/ip-up.d/*",
    ),
    Location("network interface", settings.text, "/etc/network/interfaces /etc/network/interfaces.d/*"),
    Location("log rotation", settings.rotation, "/etc/logrotate.conf /etc/logrotate.d/*"),
    Location("log daemon setting", settings.text, "/etc/rsyslog.conf /etc/rsyslog.d/*"),
    Location("super-server service", settings.text, "/etc/inetd.conf /etc/xinetd.d/*"),
    Location("temporary file rule", settings.text, "/etc/tmpfiles.d/* /etc/binfmt.d/*"),
    Location(
        "Python startup",
        settings.script,
        "/usr/lib/python3*/sitecustomize.py /etc/python3*/sitecustomize.py "
        "/usr/local/lib/python3*/*/sitecustomize.py "
        "/usr/local/lib/python3*/*/usercustomize.py /usr/local/lib/python3*/*/*.pth "
        "~/.local/lib/python3*/site-packages/*.pth",
    ),
    Location(
        "container",
        containers.docker,
        "/var/lib/docker/containers/*/config.v2.json /var/lib/docker/containers/*/hostconfig.json",
    ),
    Location(
        "container unit",
        units.unit,
        "/etc/containers/systemd/* ~/.config/containers/systemd/* /usr/share/containers/systemd/*",
    ),
    Location("static pod", containers.pod, "/etc/kubernetes/manifests/*"),
)


class StartupFile(t.NamedTuple):
    """A file at one of the locations. account: the owner of the home directory that it is in, or ""."""

    path: bytes
    location: Location
    account: str


def find(host: Host, homes: t.Mapping[bytes, str], budget: Budget) -> list[StartupFile]:
    """Return the existing files of all locations, each once, at most 10,000."""
    listing = _Listing(host, budget)
    files: dict[bytes, StartupFile] = {}
    for location in LOCATIONS:
        for pattern in location.patterns.split():
            for path, account in _patterns(pattern, homes):
                for name in listing.expand(path):
                    if len(files) >= MOST_FILES:
                        budget.cut("nodes", "More than %d files start something; the rest was not read." % MOST_FILES)
                        return list(files.values())
                    files.setdefault(name, StartupFile(name, location, account))
    return list(files.values())


def _patterns(pattern: str, homes: t.Mapping[bytes, str]) -> t.Iterator[tuple[bytes, str]]:
    if not pattern.startswith("~/"):
        yield pattern.encode("ascii"), ""
        return
    for home, account in homes.items():
        yield _escaped(home) + pattern[1:].encode("ascii"), account


def _escaped(home: bytes) -> bytes:
    return re.sub(rb"([*?\[])", rb"[\1]", home)


class _Listing:
    """Expands patterns by listing each directory once; links on the way are not followed."""

    def __init__(self, host: Host, budget: Budget) -> None:
        self._host, self._budget = host, budget
        self._names: dict[bytes, list[bytes]] = {}
        self._merged = host.packages.packages

    def expand(self, pattern: bytes) -> list[bytes]:
        """Return the paths of files and directories that match, sorted."""
        paths = [b""]
        parts = pattern.split(b"/")[1:]
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            text = part.decode("latin-1")
            if not _WILD.search(text) and not is_last:
                paths = [path + b"/" + part for path in paths]
                continue
            match = re.compile(fnmatch.translate(text)).match
            paths = [
                path + b"/" + name
                for path in paths
                for name in self._listed(path)
                if name not in _NO_FILES and match(name.decode("latin-1"))
            ]
        return paths

    def _listed(self, directory: bytes) -> list[bytes]:
        if directory not in self._names:
            try:
                self._names[directory] = self._host.names(directory or b"/")
            except OSError as error:
                if error.errno not in _safe_fs.GONE:
                    self._budget.skip(printable(directory), _safe_fs.reason(error))
                self._names[directory] = []
        return self._names[directory]
