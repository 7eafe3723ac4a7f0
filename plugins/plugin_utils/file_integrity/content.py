# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load file integrity's content: default watches, those of the user, and rules of generated files."""

from __future__ import annotations

import difflib
import functools
import typing as t

from ansible.module_utils.common.validation import check_type_list
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, watched_paths
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import windows_watches
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity.fields import (
    CAPABILITY,
    checked_rule,
    checked_watch,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import shown

LINUX = "linux"
WINDOWS = "windows"

_WATCHES = "watches"
_DIRECTORY = catalogue.CONTENT / CAPABILITY


def load_watches(platform: str = LINUX) -> list[dict[str, t.Any]]:
    """Return the default watches of a platform as the module takes them; raise ContentError when one is wrong."""
    return windows_watches.load_watches() if platform == WINDOWS else [dict(watch) for watch in _default_watches()]


def load_derived() -> list[dict[str, t.Any]]:
    """Return the rules of what follows from package changes as the module takes them; raise ContentError likewise."""
    return [dict(rule) for rule in _derived_rules()]


def merge_watches(
    defaults: t.Sequence[t.Mapping[str, t.Any]],
    disabled: t.Sequence[str],
    extra: t.Sequence[t.Mapping[str, t.Any]],
    platform: str = LINUX,
) -> list[dict[str, t.Any]]:
    """Return the watches that a host gets: the defaults without the disabled ones, then the user's own, checked.

    The user's come last, so that they win over an equally specific path of a default. Raises ContentError, which names
    the watch and the field.
    """
    check = windows_watches.checked_watch if platform == WINDOWS else checked_watch
    if defaults:
        # One variable serves the hosts of all platforms in an inventory.
        every_name = {watch["name"] for each in (LINUX, WINDOWS) for watch in load_watches(each)}
        every_name |= {watch["name"] for watch in defaults}
        for name in disabled:
            if name not in every_name:
                nearest = difflib.get_close_matches(str(name), every_name) or sorted(w["name"] for w in defaults)
                raise ContentError(
                    f"disabled_watches: '{name}' is not a default watch; did you mean {', '.join(nearest)}?"
                )
    merged = [dict(watch) for watch in defaults if watch["name"] not in disabled]
    taken = {watch["name"] for watch in merged}
    for position, fields in enumerate(extra, 1):
        watch = check(fields, f"{_WATCHES}, item {position}")
        if watch["name"] in taken:
            raise ContentError(
                f"watch '{watch['name']}': there is one of this name already; give it another, "
                "or list it in disabled_watches to replace a default"
            )
        taken.add(watch["name"])
        merged.append(watch)
    return merged


def asked_watches(arguments: dict[str, t.Any], default: bool, platform: str = LINUX) -> list[dict[str, t.Any]] | None:
    """Take the options that say what to watch out of a task's arguments and return the watches; ContentError likewise.

    default: whether the collection's are meant when ``default_watches`` isn't given. None when nothing is asked for.
    """
    given = arguments.pop("watches", None)
    disabled = check_type_list(arguments.pop("disabled_watches", None) or [])
    wanted = arguments.pop("default_watches", None)
    with_defaults = default if wanted is None else boolean(wanted)
    if given is None and not with_defaults:
        return None
    defaults = load_watches(platform) if with_defaults else []
    return merge_watches(defaults, disabled, _list_of_watches(given), platform)


def default_names(watches: t.Sequence[t.Mapping[str, t.Any]] | None, platform: str = LINUX) -> list[str]:
    """Return which of the watches that ``asked_watches`` returned are the collection's; all of its names for None."""
    defaults = {watch["name"]: watch for watch in load_watches(platform)}
    if watches is None:
        return list(defaults)
    return [watch["name"] for watch in watches if watch == defaults.get(watch["name"])]


def unchecked_watches(argument_spec: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Return a module's argument spec for the controller, which leaves what is a watch to ``asked_watches``."""
    return {**argument_spec, "watches": {"type": "raw"}}


def _list_of_watches(given: t.Any) -> t.Sequence[t.Any]:
    if given in (None, ""):
        return ()
    if isinstance(given, t.Mapping):
        raise ContentError(f"{_WATCHES}: this is one watch and no list; begin it with a hyphen")
    if not isinstance(given, (list, tuple)):
        raise ContentError(
            f"{_WATCHES}: '{shown.visible(given, 80)}' is not a list of watches; in YAML each is an item such as "
            "- {name: shop, paths: [/srv/shop]}, and --extra-vars takes lists as JSON only"
        )
    return given


@functools.lru_cache(maxsize=1)
def _default_watches() -> tuple[dict[str, t.Any], ...]:
    path = _DIRECTORY / "watches.yml"
    watches = []
    entries = _entries(catalogue.read(path), path.name)
    for entry in watched_paths.load():
        if entry.watch is not None and entry.watch not in entries:
            raise ContentError(f"{watched_paths.FILE.name}: there is no watch '{entry.watch}' in {path.name}")
    for name, fields in entries.items():
        if not str(fields.get("description") or "").strip():
            raise ContentError(f"{path.name}: watch '{name}': description is missing; say what it watches")
        given = {field: value for field, value in fields.items() if field != "description"}
        paths = watched_paths.of_watch(name)
        watches.append(checked_watch({"name": name, "paths": paths, **given}, path.name))
    return tuple(watches)


@functools.lru_cache(maxsize=1)
def _derived_rules() -> tuple[dict[str, t.Any], ...]:
    path = _DIRECTORY / "derived.yml"
    return tuple(
        checked_rule(name, fields, f"{path.name}: rule '{name}'")
        for name, fields in _entries(catalogue.read(path), path.name).items()
    )


def _entries(data: t.Any, where: str) -> dict[str, t.Mapping[str, t.Any]]:
    if not isinstance(data, dict):
        raise ContentError(f"{where}: a mapping of names is needed, not {type(data).__name__}")
    for name, fields in data.items():
        if not isinstance(fields, dict):
            raise ContentError(f"{where}: '{name}' needs fields, not {type(fields).__name__}")
    return t.cast("dict[str, t.Mapping[str, t.Any]]", data)
