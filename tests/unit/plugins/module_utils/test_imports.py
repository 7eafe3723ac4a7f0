# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import json
import pathlib
import subprocess
import sys
import zipfile

from tests.support import paths

PACKAGE = "ansible_collections/bulwark/servers/plugins/module_utils"

# What a module does first, and then what was compiled for importing a package, and where it says that it is.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
compiled = []
from ansible_collections.bulwark.servers.plugins.module_utils import _argspec
sys.addaudithook(lambda event, args: compiled.append(str(args[1])) if event == "compile" else None)
from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import words
import ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files as package
try:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import absent
except ImportError:
    pass
print(json.dumps({"compiled": compiled, "files": [_run.__file__, words.__file__, package.__file__]}))
"""


def test_modules_in_an_archive_are_compiled_once_and_know_their_files(tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "payload.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for depth in range(1, PACKAGE.count("/") + 2):
            stream.writestr("/".join([*PACKAGE.split("/")[:depth], "__init__.py"]), "")
        for source in (paths.ROOT / "plugins" / "module_utils").rglob("*.py"):
            name = source.relative_to(paths.ROOT / "plugins" / "module_utils").as_posix()
            if name != "__init__.py":
                stream.write(source, f"{PACKAGE}/{name}")

    done = subprocess.run([sys.executable, "-c", PROGRAM, str(archive)], check=True, capture_output=True, text=True)

    said = json.loads(done.stdout)
    assert said["files"] == [
        f"{archive}/{PACKAGE}/{name}"
        for name in ("_run.py", "audit_rule_files/words.py", "audit_rule_files/__init__.py")
    ]
    counts = collections.Counter(name for name in said["compiled"] if name.startswith(str(archive)))
    assert counts == dict.fromkeys(said["files"], 1)
