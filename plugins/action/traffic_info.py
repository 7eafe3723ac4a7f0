# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at who connects to a host, and recommend what to let in."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.collect import scopes
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.options import (
    collect_spec,
    evidence_spec,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import (
    CapabilityActionBase,
    Conversation,
    Entry,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    exposed,
    model,
    options,
    recommend,
    sources,
)

# What only the recommender needs, which runs here.
_EVIDENCE = tuple(evidence_spec())
_RECOMMENDER = ("trusted", "threats", "names", "public_ports", "minimum_days", "max_prefixes", *_EVIDENCE)


class ActionModule(CapabilityActionBase):
    """Give the recommender what the host has seen, and find ports that are open to more than needs them."""

    capability = "network_hardening"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("network_hardening.traffic.collect:collect", collect_spec)

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        # What is a number in text comes as that from some releases of Ansible.
        given = ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters
        self._given = {name: given[name] for name in _RECOMMENDER}
        self._most = given["max_traffic"]
        self._asked(None, None)
        return {name: value for name, value in arguments.items() if name not in _RECOMMENDER}

    def learn(self, options: t.Mapping[str, t.Any]) -> None:
        # Where no day has all sign-ins, it says nothing that somebody is not among them.
        observed = options.get("sign_ins_observed") or [0, 0]
        given = ArgumentSpecValidator(evidence_spec()).validate({**options, "sign_ins_observed": observed})
        if given.error_messages:
            raise AnsibleActionFail(
                f"the host returned an invalid result, which was discarded; check the host: {given.errors.msg}"
            )
        self._given.update({name: given.validated_parameters[name] for name in options})

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (*scopes(arguments), exposed.SCOPE)

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        answer = yield from super().run_module(arguments, task_vars)
        if answer.get("failed") or not isinstance(answer.get("coverage"), list):
            return answer
        try:
            recommendations, detections, entry = self._recommended(answer)
        except sources.InputError as error:
            raise AnsibleActionFail(
                f"the host returned an invalid result, which was discarded; check the host: {error}"
            ) from None
        answer.update(recommendations=recommendations, detections=detections, coverage=[*answer["coverage"], entry])
        answer["traffic"] = answer["traffic"][: self._most]
        return answer

    def _recommended(
        self, answer: t.Mapping[str, t.Any]
    ) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]], dict[str, t.Any]]:
        now = time.time()
        asked = self._asked(exposed.listening(answer), exposed.observed(answer, now))
        reason = exposed.unseen(answer, asked.minimum_days, now)
        result = recommend.recommend(sources.read(answer["traffic"]), asked, model.load())
        shown = [exposed.shown(port) for port in result["ports"]]
        if reason is not None:
            return shown, [], not_checked(exposed.SCOPE, reason)
        detections, entry = exposed.found(result, answer)
        return shown, detections, entry

    def _asked(self, listening: t.Any, observed: t.Any) -> options.Options:
        """Return what the recommender is asked; raise ContentError for options, InputError for the host's answer."""
        try:
            return options.read(
                listening,
                self._given["trusted"],
                self._given["threats"],
                None,
                self._given["names"],
                self._given["public_ports"],
                self._given["minimum_days"],
                self._given["max_prefixes"],
                observed,
                **{name: self._given[name] for name in _EVIDENCE},
            )
        except sources.InputError as error:
            if listening is None:
                raise ContentError(str(error)) from error
            raise
