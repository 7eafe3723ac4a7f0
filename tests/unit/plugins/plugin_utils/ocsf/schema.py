# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OCSF itself says of an event, by the schema in ocsf-json-schema (https://pypi.org/project/ocsf-json-schema/).

Of the OCSF libraries on PyPI it is the strictest: it turns OCSF's own published schema into JSON Schema with unknown
attributes refused, in every nested object, and with the required ones, enumerations, patterns and at-least-one-of
constraints. py-ocsf-models and pydantic-ocsf let unknown attributes pass (and so a misspelt one), the first has no
model of an evidence's file; ocsf-emitter builds events of its own; ocsf-lib compares schemas and reads no events.
It doesn't compare an id with its name, so that is done here, also from OCSF's schema.
"""

from __future__ import annotations

import functools
import json
import typing as t

import jsonschema
import ocsf_json_schema


@functools.cache
def _schema(version: str) -> ocsf_json_schema.OcsfJsonSchemaEmbedded:
    return ocsf_json_schema.OcsfJsonSchemaEmbedded(ocsf_json_schema.get_ocsf_schema(version))


@functools.cache
def _validator(version: str, class_uid: int, profiles: tuple[str, ...]) -> jsonschema.Draft202012Validator:
    schema = _schema(version)
    return jsonschema.Draft202012Validator(
        schema.get_class_schema(schema.lookup_class_name_from_uid(class_uid), list(profiles))
    )


def errors(event: t.Mapping[str, t.Any]) -> list[str]:
    """Return what is wrong with an event: nothing when it is valid, of the version and profiles that it names."""
    plain = json.loads(json.dumps(dict(event), allow_nan=False))
    version, profiles = event["metadata"]["version"], tuple(event["metadata"]["profiles"])
    found = _validator(version, event["class_uid"], profiles).iter_errors(plain)
    schema = _schema(version).schema.schema
    name = _schema(version).lookup_class_name_from_uid(event["class_uid"])
    return [f"{error.json_path}: {error.message}" for error in found] + list(
        _disagreements(plain, schema["classes"][name], schema, "$")
    )


def _disagreements(value: t.Any, described: t.Any, schema: t.Any, place: str) -> t.Iterator[str]:
    """Yield where an id and the name beside it say different things."""
    for key, attribute in described["attributes"].items():
        if key not in value:
            continue
        sibling = attribute.get("sibling")
        if attribute.get("enum") and sibling in value:
            is_list = isinstance(value[key], list)
            numbers, names = (value[key], value[sibling]) if is_list else ([value[key]], [value[sibling]])
            if len(numbers) != len(names):
                yield f"{place}.{sibling}: it has other members than {key}"
            for number, name in zip(numbers, names, strict=False):
                caption = attribute["enum"][str(number)]["caption"]
                if number != 99 and name != caption:
                    yield f"{place}.{sibling}: '{name}' is not the name of {number}, '{caption}'"
        nested = schema["objects"].get(attribute.get("object_type"))
        if nested and nested["attributes"]:
            items = value[key] if isinstance(value[key], list) else [value[key]]
            for item in items:
                yield from _disagreements(item, nested, schema, f"{place}.{key}")
