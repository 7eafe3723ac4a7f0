#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_export
short_description: Send changes of findings to SIEMs and other receivers
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Registers destinations in the store. From then on the store queues each change of a finding for each destination
    that wants it, in the transaction that records the change, and queues the coverage of each run.
  - Sends the queued changes and removes each from the queue when the receiver has confirmed it. A receiver that cannot
    be reached gets them in a later run, in the order of the changes of each finding.
  - A receiver that fails stops no other one. The task then warns and succeeds, unless O(strict=true).
  - A change that a receiver refuses is set aside with the receiver's reason, and the others go on. Send it again with
    O(resend=true).
  - Several controllers may export to one destination at a time if the store is in PostgreSQL.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
    details:
      - Sends nothing and makes no connection to a receiver. RV(destinations[].preview) shows for the first O(preview)
        waiting changes how each reads in the receiver's format.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - When nothing waits, nothing is sent and nothing changes.
  platform:
    support: full
    platforms: all
options:
  state:
    description:
      - V(exported) registers O(destinations) and sends what waits for them.
      - V(present) only registers O(destinations). Their settings are checked, and changes are queued from then on.
      - V(absent) removes the destinations of O(names) from the store.
    type: str
    choices: [exported, present, absent]
    default: exported
  destinations:
    description:
      - The receivers. Each has a O(destinations[].name), exactly one kind with its options
        (O(destinations[].elastic), O(destinations[].file), O(destinations[].kafka), O(destinations[].sentinel),
        O(destinations[].splunk), O(destinations[].syslog), O(destinations[].webhook)), and the filters and limits that
        all kinds have.
      - Each secret, such as a token, is given in one of three ways. C(token) has the secret, which belongs into
        Ansible Vault, C(token_file) names a file on the controller, and C(token_environment) names an environment
        variable of the process that runs the playbook.
      - Required unless O(state=absent).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the destination in the store, up to 64 letters, digits, dots, dashes and underscores. A destination
            with a new name is a new one, and the changes that wait for the former name stay there.
        type: str
        required: true
      hosts:
        description: Inventory names of hosts, in which V(*) stands for any text and V(?) for one character.
        type: list
        elements: str
        default: []
      groups:
        description: Groups of the inventory. Their hosts count as they are when the destination is registered.
        type: list
        elements: str
        default: []
      capabilities:
        description: Capabilities whose findings and coverage are sent.
        type: list
        elements: str
        default: []
      alerts:
        description: Ids of alerts, in which V(*) stands for any text and V(?) for one character.
        type: list
        elements: str
        default: []
      statuses:
        description: Statuses that the finding has after the change.
        type: list
        elements: str
        choices: [new, open, suppressed, resolved]
        default: []
      severity:
        description: The lowest severity.
        type: str
        choices: [informational, low, medium, high, critical]
      evidence:
        description: Whether to also send changes that only add evidence to a finding.
        type: bool
        default: false
      coverage:
        description:
          - Whether to also send how far each run looked at each host, as OCSF Scan Activity. A SIEM can then alert on a
            host that nobody looks at any more.
        type: bool
        default: true
      max_changes:
        description: How many changes wait at most. By default there is no limit.
        type: int
      max_age:
        description: How long a change waits at most, in minutes, hours, days or weeks (V(12h), V(30d), V(4w)).
        type: str
      when_full:
        description:
          - What happens at the limit. V(keep_oldest) drops newer changes, V(keep_newest) drops older ones. Each
            dropped change is counted.
          - Required with O(destinations[].max_changes) or O(destinations[].max_age).
        type: str
        choices: [keep_oldest, keep_newest]
      since:
        description:
          - A destination that the store does not have yet also gets the findings that a run saw at or after this time,
            as they are now. By default it gets changes only.
          - A number of minutes, hours, days or weeks, a date, or a date and time (V(30d), V(2026-05-31),
            V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
        type: str
      # BEGIN elastic
      # END elastic
      # BEGIN file
      # END file
      # BEGIN kafka
      # END kafka
      # BEGIN sentinel
      # END sentinel
      # BEGIN splunk
      splunk:
        description:
          - An HTTP Event Collector of Splunk. Needs urllib3 2 or newer on the controller.
          - With O(destinations[].splunk.acknowledge) a change counts as sent when Splunk has indexed it, and arrives at
            least once. A search tells repetitions by C(metadata.uid).
        type: dict
        suboptions:
          url:
            description:
              - Address of the collector, such as V(https://splunk.example.com:8088).
            type: str
            required: true
          token:
            description:
              - Token of the collector.
            type: str
          token_file:
            description:
              - File on the controller with the token.
            type: path
          token_environment:
            description:
              - Environment variable with the token.
            type: str
          format:
            description:
              - V(ocsf) sends events as the store has them. V(cim) adds the fields of Splunk's Common Information Model.
            type: str
            choices: [cim, ocsf]
            default: ocsf
          index:
            description:
              - Index of the events. By default Splunk takes that of the token.
            type: str
          source:
            description:
              - Splunk's C(source) of the events.
            type: str
            default: bulwark.servers
          sourcetype:
            description:
              - Splunk's C(sourcetype) of the events. By default V(bulwark:ocsf) or V(bulwark:cim), after the format.
            type: str
          fields:
            description:
              - Indexed fields. Each has a template, as O(destinations[].webhook.template) describes it, such as
                V({finding}).
            type: dict
            default: {}
          acknowledge:
            description:
              - Whether to wait until Splunk has indexed what it took. The token needs indexer acknowledgement, which
                Splunk Cloud does not offer to such clients.
              - With V(false) a change counts as sent when Splunk has it in memory. What Splunk loses there is lost.
            type: bool
            default: true
          acknowledge_timeout:
            description:
              - Seconds after which a change that Splunk has not indexed is sent again, up to 300.
            type: float
            default: 120
          max_event:
            description:
              - Size of an event in bytes, from 10000. A larger one loses evidences, and says so in C(unmapped.notes).
            type: int
            default: 1000000
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the authorities that the receiver's certificate
                may come from. Only these count then. By default those of the controller's system count.
            type: path
          verify:
            description:
              - Whether the receiver's certificate is verified. Without verification anybody on the way can read and
                change what is sent, and the export warns.
              - An address with V(http://) needs V(false).
            type: bool
            default: true
          certificate:
            description:
              - File on the controller with the exporter's own certificate in PEM, for receivers that want one.
            type: path
          key:
            description:
              - File on the controller with the private key of O(destinations[].splunk.certificate), if it is not in the
                same file.
            type: path
          key_password:
            description:
              - Password of the private key.
            type: str
          key_password_file:
            description:
              - File on the controller with the password of the private key.
            type: path
          key_password_environment:
            description:
              - Environment variable with the password of the private key.
            type: str
          proxy:
            description:
              - Address of an HTTP proxy, such as V(http://proxy.example.com:3128). The proxies of the environment are
                not used.
            type: str
          proxy_user:
            description:
              - User of the proxy.
            type: str
          proxy_password:
            description:
              - Password of O(destinations[].splunk.proxy_user).
            type: str
          proxy_password_file:
            description:
              - File on the controller with the password for the proxy.
            type: path
          proxy_password_environment:
            description:
              - Environment variable with the password for the proxy.
            type: str
          connect_timeout:
            description:
              - Seconds for a connection to the receiver.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without any byte from the receiver after which a request has failed.
            type: float
            default: 60
          request_timeout:
            description:
              - Seconds for a whole request, from the connection to the end of the reply.
            type: float
            default: 120
      # END splunk
      # BEGIN syslog
      # END syslog
      # BEGIN webhook
      webhook:
        description:
          - Any address that takes JSON over HTTP, such as those of Slack, Microsoft Teams and PagerDuty. Needs urllib3
            2 or newer on the controller.
          - A change counts as sent when the reply has a status of 2xx, and arrives at least once. The headers
            C(Idempotency-Key) and C(webhook-id) have its C(metadata.uid), the same each time.
        type: dict
        suboptions:
          url:
            description:
              - Address of the webhook. It counts as a secret, and messages show its host only.
            type: str
          url_file:
            description:
              - File on the controller with the address.
            type: path
          url_environment:
            description:
              - Environment variable with the address.
            type: str
          method:
            description:
              - Method of the requests.
            type: str
            choices: [POST, PUT, PATCH]
            default: POST
          headers:
            description:
              - Headers of each request. V({token}) in a value stands for O(destinations[].webhook.token).
              - A header C(Authorization) must have V({token}) in it, so that its secret is not shown.
            type: dict
            default: {}
          template:
            description:
              - JSON of a request, in which V({FIELD}) in a text stands for a value of the change. By default
                V({event}), the OCSF event.
              - A field is one of V(alert), V(capability), V(change), V(count), V(description), V(event), V(finding),
                V(first_seen), V(host), V(last_seen), V(message), V(remediation), V(severity), V(status), V(subject),
                V(time), V(title), V(uid), a field of O(destinations[].webhook.translations), or a path into the OCSF
                event such as V(device.os.name) or V(evidences[0].file.path).
              - V({title:150}) cuts a text after 150 characters. V({remediation|none}) writes V(none) for a missing
                value. V({title:150|none}) does both.
              - A text that is V({FIELD}) alone becomes the value itself, such as a number or an object, and is left out
                without a value. Within a longer text a missing value is empty.
              - A text that is V({token}) alone becomes O(destinations[].webhook.token) when the request is sent.
              - There are no expressions and no Jinja. Values are escaped for JSON.
            type: dict
          translations:
            description:
              - Further fields, by name. Each has C(field), the name of a field, C(values), the receiver's word for each
                of its values, and C(otherwise), the word for all others.
            type: dict
            default: {}
          escape:
            description:
              - Escapes values for the markup of the receiver, so that no file name becomes a mention or a link.
                V(slack) is for Slack's C(mrkdwn), V(markdown) for Markdown.
            type: str
            choices: [none, slack, markdown]
            default: none
          token:
            description:
              - A secret for O(destinations[].webhook.headers) and O(destinations[].webhook.template).
            type: str
          token_file:
            description:
              - File on the controller with the token.
            type: path
          token_environment:
            description:
              - Environment variable with the token.
            type: str
          secret:
            description:
              - Signs each request as Standard Webhooks describes it, with HMAC-SHA256 in the header
                C(webhook-signature).
              - V(whsec_) and base64, or a text of at least 16 bytes.
            type: str
          secret_file:
            description:
              - File on the controller with the secret.
            type: path
          secret_environment:
            description:
              - Environment variable with the secret.
            type: str
          events_per_request:
            description:
              - How many changes a request has at most.
            type: int
            default: 1
          batch:
            description:
              - How several changes stand in a request, as a JSON array or as lines of JSON. Without effect with one
                change a request.
            type: str
            choices: [array, lines]
            default: array
          compress:
            description:
              - Whether to compress requests with gzip. A signature is that of the compressed body.
            type: bool
            default: false
          max_body:
            description:
              - Size of a request in bytes. A larger change loses evidences.
            type: int
            default: 1000000
          success_statuses:
            description:
              - Statuses from 400 that also mean that the receiver has the change, such as V(409).
            type: list
            elements: int
            default: []
          success_text:
            description:
              - Text that the body of a successful reply has, for receivers that reply with 200 to what they did not
                take.
            type: str
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the authorities that the receiver's certificate
                may come from. Only these count then. By default those of the controller's system count.
            type: path
          verify:
            description:
              - Whether the receiver's certificate is verified. Without verification anybody on the way can read and
                change what is sent, and the export warns.
              - An address with V(http://) needs V(false).
            type: bool
            default: true
          certificate:
            description:
              - File on the controller with the exporter's own certificate in PEM, for receivers that want one.
            type: path
          key:
            description:
              - File on the controller with the private key of O(destinations[].webhook.certificate), if it is not in
                the same file.
            type: path
          key_password:
            description:
              - Password of the private key.
            type: str
          key_password_file:
            description:
              - File on the controller with the password of the private key.
            type: path
          key_password_environment:
            description:
              - Environment variable with the password of the private key.
            type: str
          proxy:
            description:
              - Address of an HTTP proxy, such as V(http://proxy.example.com:3128). The proxies of the environment are
                not used.
            type: str
          proxy_user:
            description:
              - User of the proxy.
            type: str
          proxy_password:
            description:
              - Password of O(destinations[].webhook.proxy_user).
            type: str
          proxy_password_file:
            description:
              - File on the controller with the password for the proxy.
            type: path
          proxy_password_environment:
            description:
              - Environment variable with the password for the proxy.
            type: str
          connect_timeout:
            description:
              - Seconds for a connection to the receiver.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without any byte from the receiver after which a request has failed.
            type: float
            default: 60
          request_timeout:
            description:
              - Seconds for a whole request, from the connection to the end of the reply.
            type: float
            default: 120
      # END webhook
  names:
    description:
      - Names of destinations. With O(state=absent) those to remove, and otherwise those of O(destinations) to use, by
        default all.
    type: list
    elements: str
    default: []
  discard:
    description:
      - With O(state=absent), whether changes that still wait are given up. Without it, a destination for which changes
        wait is not removed.
    type: bool
    default: false
  resend:
    description: Whether to send changes again that the receiver refused before.
    type: bool
    default: false
  run:
    description:
      - Id of the run that the alert C(export_behind) belongs to, from M(bulwark.servers.findings_run). Defaults to the
        newest run.
    type: str
  time_limit:
    description:
      - Seconds for the whole export. What was not sent then waits for the next one.
    type: int
    default: 300
  behind_after:
    description:
      - A change that waits longer than this raises the alert C(export_behind) about its destination, on the host
        C((fleet\)). The alert is resolved when the destination has caught up. Minutes, hours, days or weeks.
    type: str
    default: 1d
  strict:
    description: Whether the task fails when a receiver failed or refused a change, or the time was up.
    type: bool
    default: false
  preview:
    description: In check mode, of how many waiting changes of each destination to show how they read.
    type: int
    default: 10
seealso:
  - module: bulwark.servers.findings_export_info
  - module: bulwark.servers.findings_info
"""

EXAMPLES = r"""
- name: Send all changes to a file that a collector reads
  bulwark.servers.findings_export:
    destinations:
      - name: collector
        file:
          path: /var/log/bulwark/findings.ndjson
  run_once: true

- name: Send what is serious, and at most a million changes that wait, dropping the oldest
  bulwark.servers.findings_export:
    destinations:
      - name: on-call
        severity: high
        statuses:
          - new
          - open
        coverage: false
        max_changes: 1000000
        when_full: keep_newest
        file:
          path: /var/log/bulwark/serious.ndjson
    strict: true
  run_once: true

- name: Send what the receiver refused again, after its administrator corrected a mapping
  bulwark.servers.findings_export:
    destinations: "{{ bulwark_export }}"
    names:
      - collector
    resend: true
  run_once: true

- name: Remove a destination, and give up what waits for it
  bulwark.servers.findings_export:
    state: absent
    names:
      - collector
    discard: true
  run_once: true
"""

RETURN = r"""
registered:
  description: Names of the destinations that are new, or whose settings in the store changed.
  returned: when O(state=exported) or O(state=present)
  type: list
  elements: str
  sample: [siem]
removed:
  description: Names of the destinations that were removed.
  returned: when O(state=absent)
  type: list
  elements: str
  sample: [siem]
discarded:
  description: How many changes that waited, or were set aside, were given up.
  returned: when O(state=absent)
  type: int
  sample: 0
destinations:
  description: What was done for each destination.
  returned: when O(state=exported)
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
      sample: siem
    kind:
      description: Its kind.
      returned: always
      type: str
      sample: syslog
    address:
      description: The address of the receiver, without secrets.
      returned: always
      type: str
      sample: logs.example.com:6514
    sent:
      description: How many changes the receiver confirmed in this export.
      returned: always
      type: int
      sample: 120
    refused:
      description: How many changes were set aside in this export.
      returned: always
      type: int
      sample: 0
    shortened:
      description:
        - How many of the sent changes lack evidences, or have values that were cut, because the receiver limits their
          size. The store has all of it.
      returned: always
      type: int
      sample: 1
    waiting:
      description: How many changes wait now.
      returned: always
      type: int
      sample: 0
    set_aside:
      description: How many changes the receiver refused in this and former exports. O(resend=true) sends them again.
      returned: always
      type: int
      sample: 0
    dropped:
      description: How many changes a limit dropped since the destination was registered.
      returned: always
      type: int
      sample: 0
    behind_since:
      description: When the oldest waiting change was recorded, in seconds since the epoch. None if nothing waits.
      returned: always
      type: float
      sample: 1780228800.0
    retry_at:
      description: No export tries again before this time, in seconds since the epoch. None if there is no such time.
      returned: always
      type: float
      sample: 1780229700.0
    error:
      description: Why changes wait, in a sentence. None if nothing waits.
      returned: always
      type: str
      sample: connection refused
    preview:
      description: The first waiting changes as the receiver would get them.
      returned: in check mode
      type: list
      elements: dict
      contains:
        uid:
          description: The event's C(metadata.uid), by which a receiver can tell duplicates.
          returned: always
          type: str
          sample: 0a3c2f5e-65a9-5a55-8d68-5d3d8c1a2b3c
        change:
          description: What happened.
          returned: always
          type: str
          sample: new
        host:
          description: The host by its name in the inventory.
          returned: always
          type: str
          sample: web1
        alert:
          description: Id of the alert, none for coverage.
          returned: always
          type: str
          sample: fim_file_modified
        severity:
          description: The severity of the event.
          returned: always
          type: str
          sample: High
        status:
          description: The status of the event.
          returned: always
          type: str
          sample: New
        time:
          description: When the change was recorded, in seconds since the epoch.
          returned: always
          type: float
          sample: 1780228800.0
        body:
          description: What would be sent, without secrets. None if the format cannot take the event.
          returned: always
          type: str
          sample: '{"class_uid": 2004}'
        size:
          description: The size of the body in bytes.
          returned: when the format can take the event
          type: int
          sample: 2048
        removed_evidences:
          description: How many evidences are left out.
          returned: when the format can take the event
          type: int
          sample: 0
        shortened_values:
          description: How many values are cut.
          returned: when the format can take the event
          type: int
          sample: 0
        problem:
          description: Why the format cannot take the event, in a sentence. None if it can.
          returned: always
          type: str
          sample: the event has no host
summary:
  description: The same for people, a line for each destination.
  returned: when O(state=exported)
  type: list
  elements: str
  sample:
    - "Export to siem (syslog, logs.example.com:6514): 120 sent, 0 waiting"
"""
