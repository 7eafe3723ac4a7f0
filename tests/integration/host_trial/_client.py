# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls one function of a trial, as a module on a host does: arguments are an expression and what follows "start".

Prints what it returns, or the sentence of its error, as JSON.
"""

from __future__ import annotations

import json
import sys

from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import steps, trial


def main() -> None:
    names = {**vars(steps), "trial": trial}
    try:
        value, error = eval(sys.argv[1], names), None  # noqa: S307 - the tests' own expressions
    except trial.TrialError as problem:
        value, error = None, str(problem)
    json.dump({"value": value._asdict() if hasattr(value, "_asdict") else value, "error": error}, sys.stdout)


if __name__ == "__main__":
    main()
