# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a module that judges the controls of a benchmark."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Conversation
from ansible_collections.bulwark.servers.plugins.plugin_utils.controls import answers, comparison, findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ControlState, Judgement, Store, StoreError


class BenchmarkActionBase(CapabilityActionBase):
    """Join the controls of a module's answer with the benchmark and with the store, and make findings of them.

    An action sets ``BENCHMARK``, its id; ``SCOPE``, the coverage scope of the subjects; ``UNJUDGED``, the alert that
    says how many controls of a subject wait for a person; and ``KNOWN``, the option of the module that takes the
    subjects that the store has of a host. Its options have ``edition`` and ``level``. ``store`` stays on the
    controller.
    """

    BENCHMARK: t.ClassVar[str]
    SCOPE: t.ClassVar[str]
    UNJUDGED: t.ClassVar[str]
    KNOWN: t.ClassVar[str]

    @classmethod
    def preload(cls) -> None:
        benchmarks.load()

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._store_url: str | None = arguments.pop("store", None)
        return arguments

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        # A subject that does not show itself now may be stopped rather than gone, and only the host can tell.
        try:
            self._before, self._judgements = self._known(events.Device.from_vars(self.host_vars(task_vars)).name)
        except StoreError as error:
            raise AnsibleActionFail(str(error)) from None
        subjects = sorted({control.subject for control in self._before})
        return (yield from self.execute({**arguments, self.KNOWN: subjects}, task_vars))

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return (self.SCOPE,)

    def result(
        self, answer: t.Mapping[str, t.Any], arguments: t.Mapping[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        result = super().result(answer, arguments, task_vars)
        if result.get("failed") or "controls" not in answer:
            return result
        host, now = events.Device.from_vars(self.host_vars(task_vars)), time.time()
        try:
            controls = self._joined(answer["controls"], arguments)
            controls = comparison.compared(controls, self._before, self._judgements, now)
            found = findings.findings(controls, self._benchmark().title, self.UNJUDGED, catalogue.load(), host, now)
        except (answers.AnswerError, events.DetectionError) as error:
            raise AnsibleActionFail(
                f"the host returned an invalid result, which was discarded; check the host: {error}"
            ) from None
        except catalogue.ContentError as error:
            raise AnsibleActionFail(str(error)) from None
        return {
            **result,
            "controls": controls,
            "containers": self._containers(answer.get("containers")),
            "findings": [*result.get("findings", ()), *found],
        }

    def _joined(self, reported: t.Any, arguments: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
        spec = self.ARGUMENTS["argument_spec"]
        edition, level = (arguments.get(name) or spec[name]["default"] for name in ("edition", "level"))
        return answers.joined(reported, self._benchmark(), edition, int(level), self.SCOPE)

    def _benchmark(self) -> benchmarks.Benchmark:
        return benchmarks.load()[self.BENCHMARK]

    def _known(self, host: str) -> tuple[list[ControlState], list[Judgement]]:
        """Return the controls of the run before, and what people decided about them."""
        mode: t.Literal["write", "check"] = "check" if self._task.check_mode else "write"
        with contextlib.closing(Store.open(self._store_url, mode=mode)) as store:
            known = store.controls(hosts=[host], capabilities=[self.capability], benchmarks=[self.BENCHMARK])
            return known, store.judgements(hosts=[host], benchmarks=[self.BENCHMARK], standing=True)

    def _containers(self, reported: t.Any) -> list[t.Any]:
        """Return an inventory with its scope; whether it can be kept is for the store to say."""
        containers = reported if isinstance(reported, list) else []
        return [{**each, "scope": self.SCOPE} for each in containers if isinstance(each, dict)]
