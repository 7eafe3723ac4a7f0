# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log sources of Sigma rules, mapped to the views of events that the readers on the hosts make.

A rule set is for one platform: a host never gets the rules of another. So both may use one name. A name that both have
(process_creation, network_connection, file_event, sign_in) has Sigma's fields of that category on both. Where the
views differ, the names do: what happens to files is ``file_event`` with ``Action`` on Linux, and a view for each of
Sigma's categories on Windows (``windows_sources``).
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import windows_sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import ForeignError, UnusableError

LINUX, WINDOWS = PLATFORMS = ("linux", "windows")

Node = list[t.Any]

# The views that are the collection's own, named as a category or a service.
OWN_SOURCES = ("process_failed", "network_listen", "syscall", "audit_record", "sign_in", "log")
# Sigma's categories of files; in file_event, something that Sigma's own rules take for granted is in the view.
_FILE_ACTIONS = {
    "file_event": ("create", "write", "rename", "link", "symlink"),
    "file_change": ("write", "truncate", "chmod", "chown", "setxattr"),
    "file_delete": ("delete",),
    "file_rename": ("rename",),
}
# The programs whose lines make up a builtin service; any program where there are none.
_SERVICES: dict[str, tuple[str, ...]] = {
    "auth": (),
    "syslog": (),
    "messages": (),
    "clamav": ("clamd", "clamav", "freshclam", "clamscan", "clamdscan", "clamav-daemon", "clamonacc"),
    "cron": ("cron", "crond", "anacron", "crontab", "atd", "fcron"),
    "guacamole": ("guacd", "guacamole"),
    "named": ("named",),
    "pam": (),
    "sshd": ("sshd", "sshd-session", "sshd-auth"),
    "su": ("su",),
    "sudo": ("sudo",),
    "systemd": ("systemd",),
    "vsftpd": ("vsftpd",),
}


@dataclasses.dataclass(frozen=True)
class Source:
    """A view that a rule is matched with. extra: what has to be true beside the rule's condition.

    word_fields: where keywords are looked for; none stands for every field. fields: how the view calls fields that
    rules call otherwise.
    """

    name: str
    extra: Node | None = None
    word_fields: tuple[str, ...] = ()
    fields: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


def sources_of(
    category: str | None,
    product: str | None,
    service: str | None,
    fields: t.Collection[str],
    platform: str = LINUX,
) -> list[Source]:
    """Return the views that a rule with this log source is matched with. Raises UnusableError, ForeignError.

    fields: those that the rule names, since one that names ``Action`` doesn't mean the actions its category implies.
    platform: one of ``PLATFORMS``, which the hosts have.
    """
    if product not in (None, platform, "bulwark"):
        raise ForeignError(f"log source: product {product} is not what runs on these hosts", "logsource")
    if platform == WINDOWS:
        return _on_windows(category, product, service)
    own = next((name for name in (category, service) if name in OWN_SOURCES), None)
    if own is not None:
        return [Source(own, word_fields=("Message",) if own == "log" else ())]
    if category in _FILE_ACTIONS:
        actions = None if "Action" in fields else _equals("Action", _FILE_ACTIONS[category])
        return [Source("file_event", actions)]
    if category in ("process_creation", "network_connection"):
        return [Source(category)]
    if category is None and service == "auditd":
        return [Source("auditd")]
    if category is None and service in _SERVICES:
        programs = _SERVICES[service]
        return [Source("log", _equals("Program", programs) if programs else None, ("Message",))]
    if category is None and service is None and product is not None:
        return [Source("log", None, ("Message",)), Source("process_creation", None, ("CommandLine",))]
    raise UnusableError(
        f"log source: nothing on a host is read for {_shown(category=category, product=product, service=service)}; "
        f"there are process_creation, network_connection, {', '.join(_FILE_ACTIONS)}, {', '.join(OWN_SOURCES)}, "
        f"and the services auditd, {', '.join(_SERVICES)}",
        "logsource",
    )


def _on_windows(category: str | None, product: str | None, service: str | None) -> list[Source]:
    if "sign_in" in (category, service):
        return [Source("sign_in")]
    channels = windows_sources.channels_of(service) if service is not None else ()
    if category in windows_sources.CATEGORIES and channels is not None:
        # Records of a category are in several channels; a service chooses among them.
        extra = _equals("Channel", [name.lower() for name in channels]) if channels else None
        return [Source(category, extra, fields=windows_sources.HASHES)]
    if category is None and channels:
        # What a rule for one channel calls Channel is data of the event: the log that was cleared.
        names = {"Channel": f"{windows_sources.DATA}.Channel"} if len(channels) == 1 else {}
        return [Source(channel, fields=names) for channel in channels]
    if category is None and service is None and product is not None:
        return [Source(windows_sources.EVERY_EVENT)]
    raise UnusableError(
        f"log source: no event log is read for {_shown(category=category, product=product, service=service)}; use one "
        "that the guide on detection rules of your own lists, or name a channel as the service, as in OpenSSH/Admin",
        "logsource",
    )


def _equals(field: str, values: t.Sequence[str]) -> Node:
    return ["text", field, "equals", list(values)]


def _shown(**parts: str | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None) or "no source"
