# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of OCSF 1.5.0 that a host's evidence needs, as the shapes that ``evidence`` holds it against.

Source: https://schema.ocsf.io/1.5.0/objects. An attribute that is missing here is valid OCSF, but nothing in this
collection writes it: add it with the detection that does. A test compares this table with OCSF's own schema.
"""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Shape:
    """An OCSF object: its attributes with their kinds, those it must have, and those of which it must have one.

    A kind is ``text``, ``integer`` (32 bits), ``long``, ``timestamp`` (milliseconds), ``boolean``, ``json``, ``hash``,
    ``ip``, ``port``, ``uuid``, a set of allowed numbers, or the name of another object; ``[]`` after it makes a list.
    """

    attributes: t.Mapping[str, str | frozenset[int]]
    required: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()


def _numbers(last: int) -> frozenset[int]:
    """Return the members of an OCSF enumeration: 0 is unknown, 99 is other."""
    return frozenset(range(last + 1)) | {99}


OBJECTS: t.Mapping[str, Shape] = {
    "evidences": Shape(
        {
            "actor": "actor",
            "connection_info": "network_connection_info",
            "container": "container",
            "data": "json",
            "dst_endpoint": "network_endpoint",
            "file": "file",
            "job": "job",
            "name": "text",
            "process": "process",
            "reg_key": "reg_key",
            "reg_value": "reg_value",
            "script": "script",
            "src_endpoint": "network_endpoint",
            "uid": "text",
            "url": "url",
            "user": "user",
        },
        any_of=(
            "actor",
            "connection_info",
            "data",
            "dst_endpoint",
            "file",
            "job",
            "process",
            "reg_key",
            "reg_value",
            "script",
            "src_endpoint",
            "url",
            "user",
        ),
    ),
    "actor": Shape(
        {"app_name": "text", "invoked_by": "text", "process": "process", "session": "session", "user": "user"},
        any_of=("app_name", "invoked_by", "process", "session", "user"),
    ),
    "container": Shape(
        {"hash": "fingerprint", "image": "image", "name": "text", "runtime": "text", "tag": "text", "uid": "text"},
        any_of=("name", "uid"),
    ),
    "file": Shape(
        {
            "accessed_time": "timestamp",
            "attributes": "integer",
            "created_time": "timestamp",
            "desc": "text",
            "ext": "text",
            "hashes": "fingerprint[]",
            "is_deleted": "boolean",
            "is_encrypted": "boolean",
            "is_system": "boolean",
            "mime_type": "text",
            "modified_time": "timestamp",
            "name": "text",
            "owner": "user",
            "parent_folder": "text",
            "path": "text",
            "security_descriptor": "text",
            "size": "long",
            "type": "text",
            "type_id": _numbers(7),
            "uid": "text",
            "version": "text",
            "volume": "text",
            "xattributes": "mapping",
        },
        required=("name", "type_id"),
    ),
    "fingerprint": Shape(
        {"algorithm": "text", "algorithm_id": _numbers(7), "value": "hash"}, required=("algorithm_id", "value")
    ),
    "group": Shape(
        {"desc": "text", "domain": "text", "name": "text", "type": "text", "uid": "text"}, any_of=("name", "uid")
    ),
    "image": Shape({"name": "text", "path": "text", "tag": "text", "uid": "text"}, required=("uid",)),
    "job": Shape(
        {
            "cmd_line": "text",
            "created_time": "timestamp",
            "desc": "text",
            "file": "file",
            "last_run_time": "timestamp",
            "name": "text",
            "next_run_time": "timestamp",
            "user": "user",
        },
        required=("file", "name"),
    ),
    "network_connection_info": Shape(
        {
            "direction": "text",
            "direction_id": _numbers(3),
            "protocol_name": "text",
            "protocol_num": "integer",
            "uid": "text",
        },
        required=("direction_id",),
    ),
    "network_endpoint": Shape(
        {
            "domain": "text",
            "hostname": "text",
            "interface_name": "text",
            "ip": "ip",
            "name": "text",
            "port": "port",
            "svc_name": "text",
            "uid": "text",
        },
        any_of=("domain", "hostname", "interface_name", "ip", "name", "svc_name", "uid"),
    ),
    "process": Shape(
        {
            "cmd_line": "text",
            "created_time": "timestamp",
            "file": "file",
            "loaded_modules": "text[]",
            "name": "text",
            "parent_process": "process",
            "path": "text",
            "pid": "integer",
            "session": "session",
            "terminated_time": "timestamp",
            "tid": "integer",
            "uid": "text",
            "user": "user",
            "working_directory": "text",
            "xattributes": "mapping",
        },
        any_of=("pid", "uid"),
    ),
    "reg_key": Shape(
        {"is_system": "boolean", "modified_time": "timestamp", "path": "text", "security_descriptor": "text"},
        required=("path",),
    ),
    "reg_value": Shape(
        {
            "data": "json",
            "is_default": "boolean",
            "is_system": "boolean",
            "name": "text",
            "path": "text",
            "type": "text",
            "type_id": _numbers(10),
        },
        required=("name", "path"),
    ),
    "script": Shape(
        {
            "file": "file",
            "hashes": "fingerprint[]",
            "name": "text",
            "script_content": "long_string",
            "type": "text",
            "type_id": _numbers(7),
            "uid": "text",
        },
        required=("script_content", "type_id"),
    ),
    "long_string": Shape(
        {"is_truncated": "boolean", "untruncated_size": "integer", "value": "text"}, required=("value",)
    ),
    "session": Shape(
        {
            "created_time": "timestamp",
            "expiration_time": "timestamp",
            "is_remote": "boolean",
            "issuer": "text",
            "terminal": "text",
            "uid": "text",
            "uuid": "uuid",
        }
    ),
    "url": Shape(
        {
            "domain": "text",
            "hostname": "text",
            "path": "text",
            "port": "port",
            "query_string": "text",
            "scheme": "text",
            "url_string": "text",
        },
        any_of=("path", "url_string"),
    ),
    "user": Shape(
        {
            "credential_uid": "text",
            "display_name": "text",
            "domain": "text",
            "full_name": "text",
            "groups": "group[]",
            "name": "text",
            "type": "text",
            "type_id": _numbers(3),
            "uid": "text",
        },
        any_of=("name", "uid"),
    ),
}
