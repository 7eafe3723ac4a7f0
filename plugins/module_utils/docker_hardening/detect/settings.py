# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge section 2: the settings of an engine, those in force and those that its next start would use."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._control import FAILED, PASSED
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import MASK, masked
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import listeners, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    STOPPED,
    Engine,
    Host,
    Setting,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

_PENDING = "A restart is pending."
_STOPPED = "The engine does not run; this is what its files say."
# The names of the profile that the engine brings along, by version.
_BUILTIN = ("builtin", "default")
# Addresses of log drivers that are not this host.
_ELSEWHERE = re.compile(r"(?:tcp|udp|tls|tcp\+tls)://(?!127\.|localhost\b|\[::1\])", re.IGNORECASE)

# Options of log drivers whose values are shown; addresses are, without accounts and paths.
_LOG_OPTIONS = frozenset(
    ("awslogs-group", "awslogs-region", "compress", "gcp-project", "max-buffer-size", "max-file", "max-size", "mode")
    + ("syslog-facility", "syslog-format", "tag")
)

# Why a value of a setting is wrong, as a sentence, or None if it is right.
Fault = t.Callable[[t.Any, Engine], t.Optional[str]]


def known(engine: Engine, name: str) -> Setting | Verdict:
    """Return a setting whose value is known, or the verdict that it is not."""
    setting = engine.settings.get(name)
    if setting is None:
        return verdict.not_checked("The setting %s was not read." % name)
    if setting.problem is not None:
        reason = "The setting %s is not known: %s." % (name, setting.problem.rstrip("."))
        return verdict.not_checked("%s %s" % (reason, _PENDING) if setting.is_pending else reason)
    return setting


def item(setting: Setting, engine: Engine) -> Item:
    """Return a setting as evidence: what is in force and who says so, and what is written where that differs."""
    shown = _shown_log_options if setting.name == "log-opts" else _shown
    detail = "%s (%s)" % (masked(shown(setting.value)), "file" if engine.state == STOPPED else setting.source)
    if setting.is_pending:
        detail += "; after a restart: %s" % masked(shown(setting.written))
    return Item(
        "setting", setting.name, detail, "written in %s" % printable(setting.written_in) if setting.written_in else ""
    )


def of(name: str, fault: Fault, good: str) -> verdict.Check:
    """Return the check of one setting. What the next start would use has to be right as well."""

    def check(_host: Host, engine: Engine, _options: Options) -> Verdict:
        setting = known(engine, name)
        return setting if isinstance(setting, Verdict) else judged(setting, engine, fault, good)

    return check


def judged(setting: Setting, engine: Engine, fault: Fault, good: str) -> Verdict:
    """Return the verdict on a setting that is known. good: the sentence of one that is right."""
    evidence = [item(setting, engine)]
    wrong = fault(setting.value, engine)
    wrong_later = fault(setting.written, engine) if setting.is_pending else wrong
    if wrong is not None:
        return verdict.failed(_sentences(wrong, _PENDING if setting.is_pending else "", engine), evidence, 1)
    if wrong_later is not None:
        return verdict.failed(_sentences("The next start changes this: " + wrong_later, _PENDING, engine), evidence, 1)
    return verdict.passed(_sentences(good, "", engine), 1, evidence)


def _sentences(first: str, second: str, engine: Engine) -> str:
    return " ".join(filter(None, (first, second, _STOPPED if engine.state == STOPPED else "")))


def _shown(value: t.Any) -> str:
    if value is None or value == "":
        return "not set"
    if isinstance(value, dict):
        return ", ".join("%s=%s" % (name, _plain(value[name])) for name in sorted(value)) or "not set"
    return _plain(value)


def _shown_log_options(value: t.Any) -> str:
    """Return the options of a log driver: their names, and values where they are no secret of any driver."""
    if not isinstance(value, dict):
        return _shown(None) if not value else MASK
    return _shown({name: _log_option(str(name), value[name]) for name in value})


def _log_option(name: str, value: t.Any) -> t.Any:
    if name in _LOG_OPTIONS:
        return value
    if not isinstance(value, str) or not name.endswith(("-address", "-url")):
        return MASK
    # An account with its password before the place, and a key in the path.
    scheme, separator, rest = value.rpartition("://")
    place = rest.rpartition("@")[2]
    place = place if scheme.startswith("unix") else place.partition("/")[0].partition("?")[0]
    return "%s%s%s" % (scheme, separator, place + (" and more" if place != rest else ""))


def _plain(value: t.Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))


def _unless(expected: bool, wrong: str) -> Fault:
    """Return the fault of a switch. A value that is no switch is a fault, too: the engine refuses it."""
    return lambda value, _engine: None if value is expected else wrong


def _log_level(value: t.Any, _engine: Engine) -> str | None:
    level = str(value or "info").lower()
    return None if level == "info" else "The engine logs at the level %s." % printable(level)


def _check_log_level(host: Host, engine: Engine, options: Options) -> Verdict:
    level = of("log-level", _log_level, "The engine logs at the level info.")(host, engine, options)
    debug = of("debug", _unless(False, "The engine is in debug mode."), "")(host, engine, options)
    # Debug mode decides, whatever the level is.
    return level if debug.status == PASSED or level.status == FAILED else debug


def _check_bridge(host: Host, engine: Engine, options: Options) -> Verdict:
    if _has_default_bridge(engine) is False:
        return verdict.not_applicable("The engine has no default bridge.")
    wrong = _unless(False, "Containers on the default bridge reach each other.")
    return of("icc", wrong, "Containers on the default bridge do not reach each other.")(host, engine, options)


def _has_default_bridge(engine: Engine) -> bool | None:
    """Say whether there is a default bridge, None if nothing says so."""
    if engine.networks is not None:
        return any(network.get("Name") == "bridge" for network in engine.networks)
    setting = engine.settings.get("bridge")
    if setting is None or setting.problem is not None:
        return None
    return bool(setting.value != "none")


def _insecure_registries(value: t.Any, _engine: Engine) -> str | None:
    return "The engine talks to registries without TLS or without verifying them." if value else None


def _not_driver(name: str) -> Fault:
    return lambda value, _engine: "The storage driver is %s." % name if value == name else None


def _storage_driver(name: str) -> verdict.Check:
    def check(host: Host, engine: Engine, options: Options) -> Verdict:
        setting = known(engine, "storage-driver")
        if not isinstance(setting, Verdict) and not setting.value:
            return verdict.not_checked("No storage driver is set, so that the engine chooses one when it starts.")
        return of("storage-driver", _not_driver(name), "The storage driver is another.")(host, engine, options)

    return check


def _default_ulimits(value: t.Any, _engine: Engine) -> str | None:
    if not value:
        return "The engine sets no limits for processes of containers."
    limits = value.items() if isinstance(value, dict) else ()
    unlimited = [printable(str(name)) for name, limit in limits if _is_unlimited(limit)]
    if unlimited or not limits:
        return "The engine does not limit %s." % (", ".join(sorted(unlimited)) or "anything")
    return None


def _is_unlimited(limit: t.Any) -> bool:
    """Say whether a limit is none: -1 as hard limit, in daemon.json or as ``SOFT:HARD`` of a flag."""
    hard = limit.get("Hard") if isinstance(limit, dict) else str(limit).rpartition(":")[2]
    return str(hard).strip() in ("-1", "unlimited", "None", "")


def _check_user_namespaces(host: Host, engine: Engine, options: Options) -> Verdict:
    if engine.is_rootless:
        return verdict.passed("The engine is rootless: it runs in a user namespace of its own.", 1)
    return of("userns-remap", _user_namespaces, "The engine uses user namespaces.")(host, engine, options)


def _user_namespaces(value: t.Any, _engine: Engine) -> str | None:
    return None if value else "The engine does not use user namespaces."


def _cgroup_parent(value: t.Any, _engine: Engine) -> str | None:
    return "Containers are in the control group %s." % printable(str(value)) if value else None


def _check_base_size(host: Host, engine: Engine, options: Options) -> Verdict:
    driver = known(engine, "storage-driver")
    if isinstance(driver, Verdict):
        return driver
    if driver.value != "devicemapper":
        return verdict.not_applicable("Only the storage driver devicemapper has a base device.")
    return of("storage-opts", _base_size, "The size of the base device is the default.")(host, engine, options)


def _base_size(value: t.Any, _engine: Engine) -> str | None:
    options = value if isinstance(value, list) else ()
    chosen = [option for option in options if str(option).strip().lower().startswith("dm.basesize")]
    return "The base device has another size." if chosen else None


def _check_root(_host: Host, engine: Engine, _options: Options) -> Verdict:
    if engine.is_rootless or engine.uid != 0:
        return verdict.passed("The engine runs as the account with the number %d." % engine.uid, 1)
    return verdict.manual("Root runs the engine.", [Item("account", "root")], 1)


def _check_authorization(_host: Host, engine: Engine, options: Options) -> Verdict:
    setting = known(engine, "authorization-plugins")
    if isinstance(setting, Verdict):
        return setting
    wanted = options.authorization

    def fault(value: t.Any, _engine: Engine) -> str | None:
        if not value or not isinstance(value, list):
            return "The API has no authorization plugin."
        if wanted is not None and not set(wanted) & {_plugin(name) for name in value}:
            return "None of the authorization plugins is in docker_hardening_authorization."
        return None

    result = judged(setting, engine, fault, "An authorization plugin that you listed decides.")
    if result.status == PASSED and wanted is None:
        return verdict.manual("The API has an authorization plugin.", result.items, 1)
    return result


def _plugin(name: t.Any) -> str:
    """Return the name of a plugin without its tag, which the engine adds to managed ones."""
    return str(name).partition(":")[0]


def _check_logs(_host: Host, engine: Engine, options: Options) -> Verdict:
    setting = known(engine, "log-driver")
    if isinstance(setting, Verdict):
        return setting
    addresses = engine.settings.get("log-opts")
    wanted = options.log_drivers

    def fault(value: t.Any, _engine: Engine) -> str | None:
        if value == "none":
            return "Logs of containers are thrown away."
        if wanted is not None and value not in wanted:
            return "The log driver %s is not in docker_hardening_log_drivers." % printable(str(value))
        return None

    result = judged(setting, engine, fault, "The log driver sends logs elsewhere.")
    evidence = list(result.items)
    if addresses is not None and (addresses.value or addresses.is_pending):
        evidence.append(item(addresses, engine))
    if result.status == PASSED and wanted is None and _stays(setting, addresses):
        return verdict.manual("The log driver leaves logs on this host.", evidence, 1)
    return result._replace(items=tuple(evidence))


def _stays(driver: Setting, addresses: Setting | None) -> bool:
    """Say whether a log driver writes to this host, or may, now or after a restart."""
    return _is_local(driver.value, addresses.value if addresses else None) or (
        (driver.is_pending or (addresses is not None and addresses.is_pending))
        and _is_local(driver.written, addresses.written if addresses else None)
    )


def _is_local(driver: t.Any, options: t.Any) -> bool:
    """Say whether logs stay on this host: where a driver sends them has to be known otherwise."""
    if driver in ("syslog", "gelf", "fluentd"):
        address = str(options.get("%s-address" % driver, "")) if isinstance(options, dict) else ""
        return not _ELSEWHERE.match(address if "://" in address or not address else "tcp://" + address)
    return driver not in ("awslogs", "splunk", "gcplogs", "logentries")


def _check_live_restore(host: Host, engine: Engine, options: Options) -> Verdict:
    if engine.swarm is not None and engine.swarm.is_active:
        return verdict.not_applicable("The engine is a node of a swarm, which cannot have live restore.")
    wrong = _unless(True, "Containers stop when the engine stops.")
    return of("live-restore", wrong, "Containers live on while the engine restarts.")(host, engine, options)


def _check_seccomp(_host: Host, engine: Engine, options: Options) -> Verdict:
    setting = known(engine, "seccomp-profile")
    if isinstance(setting, Verdict):
        return setting
    wanted = None if options.seccomp is None else {_profile(name) for name in options.seccomp}

    def fault(value: t.Any, _engine: Engine) -> str | None:
        if value == "unconfined":
            return "Containers have no seccomp profile by default."
        if wanted is not None and _profile(value) not in wanted:
            return "The seccomp profile is not in docker_hardening_seccomp."
        return None

    result = judged(setting, engine, fault, "The seccomp profile is one that you listed.")
    if result.status == PASSED and wanted is None:
        return verdict.manual("The engine has a seccomp profile.", result.items, 1)
    return result


def _profile(name: t.Any) -> str:
    return "builtin" if not name or name in _BUILTIN else str(name)


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_engine_runs_as_root": _check_root,
    "docker_bridge_traffic_open": _check_bridge,
    "docker_log_level_changed": _check_log_level,
    "docker_iptables_disabled": of(
        "iptables",
        _unless(True, "The engine sets no firewall rules for its networks."),
        "The engine sets the firewall rules of its networks.",
    ),
    "docker_registry_insecure": of(
        "insecure-registries", _insecure_registries, "The engine verifies each registry over TLS."
    ),
    "docker_storage_aufs": _storage_driver("aufs"),
    "docker_storage_devicemapper": _storage_driver("devicemapper"),
    "docker_api_without_tls": listeners.check_tcp,
    "docker_default_ulimits_missing": of(
        "default-ulimits", _default_ulimits, "The engine limits what processes of containers may use."
    ),
    "docker_user_namespaces_off": _check_user_namespaces,
    "docker_cgroup_parent_changed": of(
        "cgroup-parent", _cgroup_parent, "Containers are in the control group of the engine."
    ),
    "docker_base_size_changed": _check_base_size,
    "docker_authorization_missing": _check_authorization,
    "docker_logs_stay_local": _check_logs,
    "docker_new_privileges_allowed": of(
        "no-new-privileges",
        _unless(True, "Containers can gain new privileges by default."),
        "Containers cannot gain new privileges by default.",
    ),
    "docker_live_restore_off": _check_live_restore,
    "docker_userland_proxy_on": of(
        "userland-proxy",
        _unless(False, "The engine starts a proxy process for each published port."),
        "The engine starts no proxy processes.",
    ),
    "docker_seccomp_profile_unfit": _check_seccomp,
    "docker_experimental_on": of(
        "experimental",
        _unless(False, "The engine has experimental features on."),
        "The engine has no experimental features on.",
    ),
}
