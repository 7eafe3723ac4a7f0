# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the swarm that an engine is in: section 7."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    container_image,
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    STOPPED,
    Engine,
    Host,
    Json,
    Swarm,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

# More managers only slow each other down: https://docs.docker.com/engine/swarm/admin_guide/
_MOST_MANAGERS = 7
_SECOND = 10**9
_SECRET = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|api_?key|access_?key|private_?key|credential", re.IGNORECASE
)
# It names a file, as a secret of the swarm is one.
_FILE = re.compile(r"_(file|path|dir)$", re.IGNORECASE)

Judge = t.Callable[[Host, Engine, Swarm], Verdict]


def _in_swarm(judge: Judge, by_managers: bool = True) -> verdict.Check:
    """Return the check of an engine in a swarm. by_managers: a worker does not know what is judged."""

    def check(host: Host, engine: Engine, _options: Options) -> Verdict:
        swarm = engine.swarm
        if swarm is None:
            why = (
                "the engine does not run"
                if engine.state == STOPPED
                else each_container.problem_of(engine, "information")
            )
            return verdict.not_checked(f"It is not known whether the engine is in a swarm: {why}.")
        if not swarm.is_active:
            return verdict.not_applicable("The engine is in no swarm.")
        try:
            state = values.text(engine.info, "Swarm.LocalNodeState")
            if state != "active":
                return verdict.not_checked(f"The engine's part in its swarm is '{printable(state)}'.")
            if swarm.problem is not None:
                return verdict.not_checked("The swarm is not known: {}.".format(printable(swarm.problem.rstrip("."))))
            if by_managers and not swarm.is_manager:
                return verdict.not_applicable(
                    "The engine is a worker of its swarm; only managers know and decide this."
                )
            return judge(host, engine, swarm)
        except values.UnknownError as error:
            return verdict.not_checked(f"The swarm is not understood: {error}.")

    return check


def _managers(_host: Host, _engine: Engine, swarm: Swarm) -> Verdict:
    managers = [each for each in swarm.nodes if values.text(each, "Spec.Role") == "manager"]
    if not managers:
        raise values.UnknownError("none of its nodes is a manager")
    count = len(managers)
    if count % 2 and count <= _MOST_MANAGERS:
        return verdict.passed("The swarm has %d of %d nodes as managers." % (count, len(swarm.nodes)), len(swarm.nodes))
    why = "an even number tolerates no more failures than one less" if count % 2 == 0 else "7 are enough for any swarm"
    items = [Item("host", printable(values.text(each, "Description.Hostname")), "manager") for each in managers]
    return verdict.failed("The swarm has %d managers; %s." % (count, why), items, len(swarm.nodes))


def _listening(_host: Host, _engine: Engine, swarm: Swarm) -> Verdict:
    address = values.text(swarm.state, "ListenAddr")
    host = address.rpartition(":")[0].strip("[]")
    try:
        is_everywhere = not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        # It is the name of an interface.
        is_everywhere = False
    if is_everywhere:
        item = Item("setting", "listen-addr", printable(address))
        return verdict.failed("The swarm listens on all interfaces.", [item], 1)
    return verdict.passed(f"The swarm listens on {printable(address)}.", 1)


def _encryption(_host: Host, engine: Engine, _swarm: Swarm) -> Verdict:
    if engine.networks is None:
        raise values.UnknownError(each_container.problem_of(engine, "networks"))
    networks = [each for each in engine.networks if values.text(each, "Driver") == "overlay"]
    if not networks:
        return verdict.not_applicable("The swarm has no overlay network.")
    items = [
        Item("network", printable(values.text(each, "Name")), "not encrypted") for each in networks if _is_open(each)
    ]
    if items:
        return verdict.failed(
            "%d of %d overlay networks are not encrypted." % (len(items), len(networks)), items, len(networks)
        )
    return verdict.passed("All %d overlay networks are encrypted." % len(networks), len(networks))


def _is_open(network: Json) -> bool:
    value = values.mapping(network, "Options").get("encrypted", "false")
    if not isinstance(value, str):
        raise values.UnknownError("an option of a network is not text")
    return value.strip().lower() in ("false", "0", "f")


def _secrets(_host: Host, _engine: Engine, swarm: Swarm) -> Verdict:
    if not swarm.services:
        return verdict.not_applicable("The swarm has no service.")
    items, own = [], 0
    for service in swarm.services:
        name = printable(values.text(service, "Spec.Name"))
        container = values.mapping(service, "Spec.TaskTemplate.ContainerSpec", may_miss=True)
        own += len(values.array(container, "Secrets", may_miss=True))
        names = (text.partition("=")[0] for text in values.texts(container, "Env", may_miss=True))
        doubtful = sorted({printable(each) for each in names if _SECRET.search(each) and not _FILE.search(each)})
        if doubtful:
            items.append(Item("service", name, "environment: {}".format(", ".join(doubtful)), service=name))
    reason = "The swarm keeps %d secrets, and its %d services use %d; %d have what looks like one in their environment."
    return verdict.manual(
        reason % (len(swarm.secrets), len(swarm.services), own, len(items)), items, len(swarm.services)
    )


def _is_locked(swarm: Swarm) -> bool:
    return values.flag(swarm.cluster, "Spec.EncryptionConfig.AutoLockManagers")


def _lock(_host: Host, _engine: Engine, swarm: Swarm) -> Verdict:
    if _is_locked(swarm):
        return verdict.passed("Managers are locked when they start.", 1)
    return verdict.failed("Managers are not locked when they start.", [Item("setting", "autolock", "false")], 1)


def _unlock_key(host: Host, _engine: Engine, swarm: Swarm) -> Verdict:
    if not _is_locked(swarm):
        return verdict.not_applicable(
            "There is no key, as managers are not locked when they start; control 7.5 judges that."
        )
    note = "swarm {} days old".format(container_image.age(host.now, swarm.cluster, "CreatedAt"))
    return verdict.manual(
        "The swarm does not say when its key was changed.", [Item("setting", "autolock", "true", note)], 1
    )


def _node_certificates(host: Host, swarm: Swarm, options: Options) -> Verdict:
    expires = swarm.certificate_expires
    if expires is not None and expires < host.now:
        item = Item("setting", "node certificate", "expired")
        return verdict.failed("The certificate of this node has expired.", [item], 1)
    days = values.number(swarm.cluster, "Spec.CAConfig.NodeCertExpiry") // (_SECOND * container_image.DAY)
    note = "" if expires is None else "this node's ends in %d days" % ((expires - host.now) // container_image.DAY)
    item = Item("setting", "cert-expiry", "%d days" % days, note)
    reason = "Certificates of nodes are valid for %d days" % days
    if options.certificate_days is None:
        return verdict.manual("%s." % reason, [item], 1)
    if days > options.certificate_days:
        return verdict.failed("%s; %d are wanted." % (reason, options.certificate_days), [item], 1)
    return verdict.passed("%s." % reason, 1, [item])


def _check_node_certificates(host: Host, engine: Engine, options: Options) -> Verdict:
    check = _in_swarm(lambda host, _engine, swarm: _node_certificates(host, swarm, options))
    return check(host, engine, options)


def _authority(host: Host, _engine: Engine, swarm: Swarm) -> Verdict:
    root = values.text(swarm.cluster, "TLSInfo.TrustRoot")
    digest = hashlib.sha256(root.encode("utf-8", "surrogatepass")).hexdigest()
    note = "swarm {} days old".format(container_image.age(host.now, swarm.cluster, "CreatedAt"))
    item = Item("setting", "root certificate", f"sha256:{digest}", note)
    return verdict.manual("The swarm signs certificates of nodes with this root certificate.", [item], 1)


def _planes(_host: Host, _engine: Engine, swarm: Swarm) -> Verdict:
    management = values.text(swarm.state, "AdvertiseAddr").rpartition(":")[0].strip("[]")
    data = values.text(swarm.state, "DataPathAddr").strip("[]")
    if data and data != management:
        return verdict.passed(f"Containers talk by {printable(data)}, managers by {printable(management)}.", 1)
    item = Item("setting", "data-path-addr", printable(data or "not set"))
    return verdict.failed("Containers and managers talk by the same address.", [item], 1)


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_swarm_managers_number": _in_swarm(_managers),
    "docker_swarm_on_all_interfaces": _in_swarm(_listening),
    "docker_swarm_network_unencrypted": _in_swarm(_encryption),
    "docker_swarm_secrets_unmanaged": _in_swarm(_secrets),
    "docker_swarm_unlocked": _in_swarm(_lock),
    "docker_swarm_unlock_key_unchanged": _in_swarm(_unlock_key),
    "docker_swarm_node_certificates_unchanged": _check_node_certificates,
    "docker_swarm_authority_unchanged": _in_swarm(_authority),
    "docker_swarm_traffic_mixed": _in_swarm(_planes, by_managers=False),
}
