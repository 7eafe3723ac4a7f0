# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply response rules to the findings of a memory scan of one host."""

from __future__ import annotations

import typing as t
import uuid

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import apply_spec, check_apply
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import SanitizingActionBase, sanitize
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import responder, response_rules
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.responder import ResponseError

_MODULE = "bulwark.servers.memory_response"
_NO_MATCH = "No finding matches memory_scan_response_rules."


class ActionModule(SanitizingActionBase):
    """Check the rules, match them with the findings, and run memory_response for each process."""

    TRANSFERS_FILES = False
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            "response_rules": {"type": "raw", "required": True},
            "findings": {"type": "list", "elements": "dict"},
            **{
                name: fields
                for name, fields in apply_spec().items()
                if name in ("max_dump", "max_captures", "run", "lock_timeout")
            },
            # Of the host, so that no ~ is expanded here.
            "state_dir": {"type": "str"},
        }
    }
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, options = self.validate_argument_spec(**self.ARGUMENTS)
        problems = response_rules.problems(options["response_rules"])
        if problems:
            message = f"memory_scan_response_rules: {'; '.join(problems)}."
            return t.cast("dict[str, t.Any]", wrap_var({**result, "failed": True, "msg": message}))
        if options["findings"] is None:
            return {**result, "changed": False, "messages": [], "failures": [], "responses": []}
        responses = response_rules.match(options["findings"], options["response_rules"])
        outcome = responder.respond(responses, self._runner(options, task_vars or {}))
        result.update(
            changed=outcome.is_changed,
            messages=outcome.messages if responses else [_NO_MATCH],
            failures=outcome.failures,
            responses=outcome.responses,
        )
        if outcome.failures:
            result.update(failed=True, msg=f"Some actions failed: {' '.join(outcome.failures)}")
        return t.cast("dict[str, t.Any]", wrap_var(result))

    def _runner(self, options: t.Mapping[str, t.Any], task_vars: dict[str, t.Any]) -> responder.Run:
        """Return what runs memory_response on the host."""
        # Captures of one run never remove each other.
        run_id = options["run"] or str(uuid.uuid4())

        def run(response: response_rules.Response) -> dict[str, t.Any]:
            arguments = {"pid": response.pid, "started": response.started, "action": response.action}
            if response.action == response_rules.CAPTURE:
                arguments.update(
                    {name: options[name] for name in ("max_dump", "max_captures", "state_dir", "lock_timeout")},
                    dump=response.dump,
                    run=run_id,
                )
            try:
                check_apply(ArgumentSpecValidator(apply_spec()).validate(arguments).validated_parameters)
                given = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
            except UsageError as error:
                raise ResponseError(str(error)) from error
            except AnsibleError as error:
                raise ResponseError(error.message) from error
            result = sanitize(given)
            if given.get("unreachable"):
                raise ResponseError(str(given.get("msg") or "the host could not be reached"))
            if result.get("failed") or not isinstance(result.get("message"), str):
                raise ResponseError(str(result.get("msg") or "it failed"))
            return result

        return run
