#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_export
short_description: Send changes of findings to SIEMs and other receivers
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Registers destinations in the store. From then on, the store queues each change of a finding, and the coverage of
    each run, for each destination whose filters match. It queues a change in the transaction that records it.
  - Sends the queued changes, and removes each from the queue when the receiver has confirmed it. If a receiver cannot
    be reached, a later run sends its changes. The changes of one finding are sent in their order.
  - A receiver that fails does not stop the others. The task then warns and succeeds, unless O(strict=true).
  - A change that a receiver refuses is set aside with the receiver's reason, and the others are sent. O(resend=true)
    sends it again.
  - Several controllers may export to one destination at the same time if the store is in PostgreSQL.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
    details:
      - Sends nothing and connects to no receiver. RV(destinations[].preview) shows the first O(preview) waiting changes
        in the receiver's format.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - If no change waits, the module sends nothing and changes nothing.
  platform:
    support: full
    platforms: all
options:
  state:
    description:
      - V(exported) registers O(destinations) and sends the changes that wait for them.
      - V(present) only registers O(destinations). Their settings are checked, and changes are queued from then on.
      - V(absent) removes the destinations of O(names) from the store.
    type: str
    choices: [exported, present, absent]
    default: exported
  destinations:
    description:
      - The receivers. Each has a O(destinations[].name), exactly one kind with its options (O(destinations[].elastic),
        O(destinations[].file), O(destinations[].kafka), O(destinations[].sentinel), O(destinations[].splunk),
        O(destinations[].syslog), O(destinations[].webhook)), and the filters and limits that all kinds have.
      - You can give each secret, such as a token, in three ways. C(token) has the secret itself, and belongs in Ansible
        Vault. C(token_file) names a file on the controller. C(token_environment) names an environment variable of the
        process that runs the playbook.
      - Required with O(state=present). If it is empty, O(state=exported) only warns about destinations for which the
        store still queues changes, and raises their alert.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the destination in the store, up to 64 letters, digits, dots, dashes and underscores. If you change
            the name, the destination becomes a new one, and the waiting changes stay with the former name.
        type: str
        required: true
      hosts:
        description:
          - Inventory names of the hosts whose changes are sent, in which V(*) stands for any text and V(?) for one
            character. By default all hosts.
        type: list
        elements: str
        default: []
      groups:
        description:
          - Groups of the inventory. The changes of their hosts are sent, by default those of all hosts. The members
            count as they are when the destination is registered.
        type: list
        elements: str
        default: []
      capabilities:
        description: Capabilities whose findings and coverage are sent, by default all.
        type: list
        elements: str
        default: []
      alerts:
        description:
          - Ids of the alerts whose changes are sent, in which V(*) stands for any text and V(?) for one character. By
            default all alerts.
        type: list
        elements: str
        default: []
      statuses:
        description: Statuses that the finding has after the change, by default all.
        type: list
        elements: str
        choices: [new, open, suppressed, resolved]
        default: []
      severity:
        description: Lowest severity to send, by default any.
        type: str
        choices: [informational, low, medium, high, critical]
      evidence:
        description: Whether to also send changes that only add evidence to a finding.
        type: bool
        default: false
      coverage:
        description:
          - Whether to also send the coverage of each run for each host, as OCSF Scan Activity. A SIEM can then alert on
            a host that is no longer scanned.
        type: bool
        default: true
      max_changes:
        description: Largest number of waiting changes, 1 or more. By default there is no limit.
        type: int
      max_age:
        description:
          - Longest time that a change waits, in minutes, hours, days or weeks (V(12h), V(30d), V(4w)). By default there
            is no limit.
        type: str
      when_full:
        description:
          - Which changes stay at the limit. V(keep_oldest) drops newer changes, V(keep_newest) drops older ones. Each
            dropped change is counted.
          - Required with O(destinations[].max_changes) or O(destinations[].max_age).
        type: str
        choices: [keep_oldest, keep_newest]
      since:
        description:
          - With this, a destination that is new in the store also gets the findings that a run saw at or after this
            time, in their present state. By default it gets changes only.
          - A number of minutes, hours, days or weeks, a date, or a date and time (V(30d), V(2026-05-31),
            V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
        type: str
      # BEGIN elastic
      elastic:
        description:
          - A data stream of Elasticsearch or OpenSearch. Needs the vendor's client on the controller, elasticsearch 8
            or 9 or opensearch-py 2 or 3, and urllib3 2 or newer.
          - Each event is created with its C(metadata.uid) as C(_id). The receiver refuses a second one, so each event
            arrives once. The exception is a data stream that got a new backing index between two attempts.
        type: dict
        suboptions:
          url:
            description:
              - Address of the receiver, such as V(https://search.example.com:9200). It may have a path.
            type: str
            required: true
          product:
            description:
              - Product of the receiver. The client of Elasticsearch sends to Elasticsearch only.
            type: str
            choices: [elasticsearch, opensearch]
            default: elasticsearch
          data_stream:
            description:
              - Name of the data stream. An index template must declare it as one.
              - By default V(logs-bulwark.findings-default) for O(destinations[].elastic.format=ecs), and
                V(logs-bulwark.ocsf-default) for O(destinations[].elastic.format=ocsf).
            type: str
          format:
            description:
              - V(ecs) sends documents of the Elastic Common Schema. V(ocsf) sends events as the store has them, with
                C(@timestamp).
            type: str
            choices: [ecs, ocsf]
            default: ecs
          api_key:
            description:
              - API key of Elasticsearch in the form that it calls C(encoded). OpenSearch has no API keys.
            type: str
          api_key_file:
            description:
              - File on the controller with the API key.
            type: path
          api_key_environment:
            description:
              - Environment variable with the API key.
            type: str
          username:
            description:
              - User, instead of an API key or a client certificate.
            type: str
          password:
            description:
              - Password of O(destinations[].elastic.username).
            type: str
          password_file:
            description:
              - File on the controller with the password.
            type: path
          password_environment:
            description:
              - Environment variable with the password.
            type: str
          max_event:
            description:
              - Largest document in bytes, from 10000 to 4000000. A larger one loses evidences, and says so in its
                notes.
            type: int
            default: 1000000
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the trusted authorities for the receiver's
                certificate. Only these are trusted then. By default the authorities of the controller's system are
                trusted.
            type: path
          verify:
            description:
              - Whether to verify the receiver's certificate. Without verification, anybody on the network path can read
                and change the events, and the export warns.
              - An address with V(http://) needs V(false).
            type: bool
            default: true
          certificate:
            description:
              - File on the controller with the exporter's certificate in PEM, for receivers that require one.
            type: path
          key:
            description:
              - File on the controller with the private key of O(destinations[].elastic.certificate), if it is not in
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
              - Address of an HTTP proxy, such as V(http://proxy.example.com:3128). The proxy variables of the
                environment do not count.
            type: str
          proxy_user:
            description:
              - User of the proxy.
            type: str
          proxy_password:
            description:
              - Password of O(destinations[].elastic.proxy_user).
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
              - Seconds for a connection to the receiver, above 0 and up to 600.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without a byte from the receiver after which a request fails, above 0 and up to 600.
            type: float
            default: 60
          request_timeout:
            description:
              - Seconds for a whole request, from the connection to the end of the reply, above 0 and up to 600.
            type: float
            default: 120
      # END elastic
      # BEGIN file
      file:
        description:
          - A file on the controller with one event on a line. Each change is in the file once, even after a crash.
        type: dict
        suboptions:
          path:
            description:
              - Path of the file. Its directory must exist.
            type: path
            required: true
          format:
            description:
              - V(ocsf) writes JSON. V(cef) and V(leef) write the lines that ArcSight and QRadar read.
            type: str
            choices: [ocsf, cef, leef]
            default: ocsf
          max_event:
            description:
              - Largest line in bytes, from 1024 to 10000000. A larger event loses evidences, and says so in
                C(unmapped.notes).
            type: int
            default: 1000000
          max_size:
            description:
              - Size in bytes at which a file is full, 1000000 or more and at least O(destinations[].file.max_event). A
                full file becomes C(path.1), the former C(path.1) becomes C(path.2), and so on.
            type: int
            default: 100000000
          files:
            description:
              - Largest number of files, including the current one, from 1 to 1000. The oldest one is removed.
            type: int
            default: 5
          mode:
            description:
              - Permissions of a new file, as three octal digits in quotes.
            type: str
            default: "0600"
      # END file
      # BEGIN kafka
      kafka:
        description:
          - Topics of a Kafka cluster. Needs confluent-kafka 2.4 or newer on the controller.
          - A message is an OCSF event as JSON. The key is the finding, so its changes stay in order. The header C(uid)
            has C(metadata.uid).
          - A change counts as sent when all in-sync replicas have it. While an export runs, each change arrives once.
            After a crash of the controller, the last changes may arrive again.
        type: dict
        suboptions:
          brokers:
            description:
              - Some brokers of the cluster, each as V(host:port).
            type: list
            elements: str
            required: true
          topic:
            description:
              - Topic of all events without a topic of their own. It must exist, unless the cluster creates topics.
            type: str
            required: true
          compliance_topic:
            description:
              - Topic of recommendations (Compliance Findings).
            type: str
          detection_topic:
            description:
              - Topic of alerts (Detection Findings).
            type: str
          scan_topic:
            description:
              - Topic of coverage (Scan Activities).
            type: str
          vulnerability_topic:
            description:
              - Topic of vulnerabilities (Vulnerability Findings).
            type: str
          schema_id:
            description:
              - Id of a JSON schema in a schema registry, from 1. Each value then begins with a zero byte and the id, as
                readers with a registry expect it. By default a value is JSON alone.
            type: int
          max_event:
            description:
              - Largest event in bytes, from 10000 to 100000000. A larger one loses evidences, and says so in
                C(unmapped.notes). Keep it 5000 bytes below the cluster's C(message.max.bytes) and the topic's
                C(max.message.bytes).
            type: int
            default: 1000000
          compression:
            description:
              - Compression of the messages.
            type: str
            choices: [none, gzip, lz4, snappy, zstd]
            default: zstd
          tls:
            description:
              - Whether to use TLS.
            type: bool
            default: true
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the trusted authorities for the brokers'
                certificates. By default the authorities of the controller's system are trusted.
            type: path
          certificate:
            description:
              - File on the controller with the exporter's certificate in PEM, for clusters that require one.
            type: path
          key:
            description:
              - File on the controller with the private key of O(destinations[].kafka.certificate), if it is not in the
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
          verify:
            description:
              - Whether to verify the brokers' certificates and names. Without verification, anybody on the network path
                can read and change the events, and the export warns.
            type: bool
            default: true
          mechanism:
            description:
              - Mechanism to sign in with SASL. V(PLAIN) needs TLS. By default the export does not sign in.
            type: str
            choices: [PLAIN, SCRAM-SHA-256, SCRAM-SHA-512]
          user:
            description:
              - User to sign in as.
            type: str
          password:
            description:
              - Password of O(destinations[].kafka.user).
            type: str
          password_file:
            description:
              - File on the controller with the password.
            type: path
          password_environment:
            description:
              - Environment variable with the password.
            type: str
          timeout:
            description:
              - Seconds in which the cluster must confirm a batch, from 1 to 600.
            type: float
            default: 60
      # END kafka
      # BEGIN sentinel
      sentinel:
        description:
          - A table of Microsoft Sentinel, through the Logs Ingestion API of Azure Monitor. Needs
            azure-monitor-ingestion, azure-identity, and urllib3 2 or newer on the controller.
          - Each event arrives at least once. A query recognises repetitions by C(metadata.uid), or C(EventUid) with
            ASIM.
        type: dict
        suboptions:
          endpoint:
            description:
              - Address of the data collection endpoint, or of the rule if it has one of its own, such as
                V(https://NAME.REGION.ingest.monitor.azure.com).
            type: str
            required: true
          rule:
            description:
              - Immutable id of the data collection rule, C(dcr-) and 32 digits.
            type: str
            required: true
          stream:
            description:
              - Stream of the rule. By default V(Custom-BulwarkFindings_CL) for O(destinations[].sentinel.format=ocsf),
                and V(Custom-BulwarkAlertEvent_CL) for O(destinations[].sentinel.format=asim).
            type: str
          format:
            description:
              - V(ocsf) sends the members of the event as columns. V(asim) sends the columns of ASIM's AlertEvent 0.1.
            type: str
            choices: [ocsf, asim]
            default: ocsf
          cloud:
            description:
              - Azure cloud of the workspace.
            type: str
            choices: [public, government, china]
            default: public
          authority:
            description:
              - Address of the token service. By default that of the cloud, such as
                V(https://login.microsoftonline.com).
            type: str
          tenant:
            description:
              - Id of the directory (tenant) in Entra ID. Required unless
                O(destinations[].sentinel.managed_identity=true).
            type: str
          client:
            description:
              - Id of the application (client). With O(destinations[].sentinel.managed_identity=true), it is the id of a
                user-assigned identity, and the default is the machine's own identity.
            type: str
          client_secret:
            description:
              - Secret of the application.
            type: str
          client_secret_file:
            description:
              - File on the controller with the secret.
            type: path
          client_secret_environment:
            description:
              - Environment variable with the secret.
            type: str
          client_certificate:
            description:
              - File on the controller with a certificate of the application and its private key, in PEM or PKCS 12,
                instead of a secret.
            type: path
          client_certificate_password:
            description:
              - Password of the private key.
            type: str
          client_certificate_password_file:
            description:
              - File on the controller with the password of the private key.
            type: path
          client_certificate_password_environment:
            description:
              - Environment variable with the password of the private key.
            type: str
          managed_identity:
            description:
              - Whether to sign in with the managed identity of the controller, which must be a machine in Azure or with
                Azure Arc.
            type: bool
            default: false
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the trusted authorities for the receiver's
                certificate. Only these are trusted then. By default the authorities of the controller's system are
                trusted.
            type: path
          verify:
            description:
              - Whether to verify the receiver's certificate. Without verification, anybody on the network path can read
                and change the events, and the export warns.
            type: bool
            default: true
          proxy:
            description:
              - Address of an HTTP proxy, such as V(http://proxy.example.com:3128). The proxy variables of the
                environment do not count.
            type: str
          proxy_user:
            description:
              - User of the proxy.
            type: str
          proxy_password:
            description:
              - Password of O(destinations[].sentinel.proxy_user).
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
              - Seconds for a connection to the receiver, above 0 and up to 600.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without a byte from the receiver after which a request fails, above 0 and up to 600.
            type: float
            default: 60
          request_timeout:
            description:
              - Seconds for a whole request, from the connection to the end of the reply, above 0 and up to 600.
            type: float
            default: 120
      # END sentinel
      # BEGIN splunk
      splunk:
        description:
          - An HTTP Event Collector of Splunk. Needs urllib3 2 or newer on the controller.
          - With O(destinations[].splunk.acknowledge=true), a change counts as sent when Splunk has indexed it. Each
            change arrives at least once. A search recognises repetitions by C(metadata.uid).
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
              - V(cim) has the fields of Splunk's Common Information Model. V(ocsf) sends events as the store has them.
              - The app C(TA-bulwark) of this collection gives both formats their source types, fields and tags.
            type: str
            choices: [cim, ocsf]
            default: cim
          index:
            description:
              - Index of the events. By default Splunk uses the index of the token.
            type: str
          source:
            description:
              - Splunk's C(source) of the events.
            type: str
            default: bulwark.servers
          sourcetype:
            description:
              - Splunk's C(sourcetype) of the events. The default depends on the format and is V(bulwark:ocsf) or
                V(bulwark:cim).
            type: str
          fields:
            description:
              - Indexed fields by name. Each value is a template as in O(destinations[].webhook.template), such as
                V({finding}).
            type: dict
            default: {}
          acknowledge:
            description:
              - Whether to wait until Splunk has indexed the events. The token needs indexer acknowledgement, which
                Splunk Cloud does not offer to such clients.
              - With V(false), a change counts as sent when Splunk has it in memory, and is lost if Splunk stops before
                it indexes it.
            type: bool
            default: true
          acknowledge_timeout:
            description:
              - Seconds after which a change that Splunk has not indexed is sent again, above 0 and up to 300.
            type: float
            default: 120
          max_event:
            description:
              - Largest event in bytes, from 10000 to 1000000. A larger one loses evidences, and says so in
                C(unmapped.notes).
            type: int
            default: 1000000
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the trusted authorities for the receiver's
                certificate. Only these are trusted then. By default the authorities of the controller's system are
                trusted.
            type: path
          verify:
            description:
              - Whether to verify the receiver's certificate. Without verification, anybody on the network path can read
                and change the events, and the export warns.
              - An address with V(http://) needs V(false).
            type: bool
            default: true
          certificate:
            description:
              - File on the controller with the exporter's certificate in PEM, for receivers that require one.
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
              - Address of an HTTP proxy, such as V(http://proxy.example.com:3128). The proxy variables of the
                environment do not count.
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
              - Seconds for a connection to the receiver, above 0 and up to 600.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without a byte from the receiver after which a request fails, above 0 and up to 600.
            type: float
            default: 60
          request_timeout:
            description:
              - Seconds for a whole request, from the connection to the end of the reply, above 0 and up to 600.
            type: float
            default: 120
      # END splunk
      # BEGIN syslog
      syslog:
        description:
          - Sends each change as a syslog message (RFC 5424) by TLS, TCP, UDP or RELP, also to QRadar
            (O(destinations[].syslog.format=leef)) and ArcSight (O(destinations[].syslog.format=cef)). The guide
            R(Export by syslog,ansible_collections.bulwark.servers.docsite.export_syslog) shows each of them.
          - By TLS and TCP, a batch counts as sent when the receiver has read all of it and has closed the connection in
            order after the export. If the connection is reset, the export sends the batch again. RELP acknowledges each
            message. UDP guarantees nothing.
        type: dict
        suboptions:
          address:
            description: Name or address of the receiver.
            type: str
            required: true
          port:
            description:
              - Port of the receiver, from 1 to 65535. The default depends on O(destinations[].syslog.transport) and is
                6514 for V(tls), 601 for V(tcp), 514 for V(udp), and 2514 for V(relp) and V(relp_tls).
            type: int
          transport:
            description:
              - Transport of the messages. Only V(tls) and V(relp_tls) encrypt them, and only V(relp) and V(relp_tls)
                acknowledge each message.
              - V(udp) sends datagrams, which can get lost without any sign.
            type: str
            choices: [tls, tcp, udp, relp, relp_tls]
            default: tls
          framing:
            description:
              - How the receiver recognises the end of a message, with V(tls) and V(tcp). V(octets) writes the length
                before each message (RFC 5425, and octet counting of RFC 6587). V(newline) ends each message with a
                newline, for receivers that do not read lengths, such as QRadar.
            type: str
            choices: [octets, newline]
            default: octets
          timeout:
            description:
              - Seconds to wait for a connection, for each part of a batch, and for the end of the connection, above 0.
                A whole batch takes at most five times as long.
            type: float
            default: 60.0
          format:
            description:
              - Format of a message. V(ocsf) is the whole event as JSON. V(structured) has named fields as structured
                data, and the message of the finding as text. V(cef) is for ArcSight and other readers of CEF, V(leef)
                is for QRadar.
            type: str
            choices: [ocsf, structured, cef, leef]
            default: ocsf
          cef_version:
            description: The version of CEF, with O(destinations[].syslog.format=cef).
            type: str
            choices: ['0', '1.2']
            default: '0'
          max_event:
            description:
              - Largest message in bytes, from 2048 to 10000000. A larger event loses evidences, the last one first.
                Then long values are cut, and a note in the event says so.
              - The default is 8000, because rsyslog by default splits a message over 8096 bytes. With V(leef) it is
                4000, because QRadar by default splits a message over 4096 bytes. RFC 5426 recommends that receivers of
                datagrams take 2048 bytes, which is too little for most events as V(ocsf).
              - At most 32000 with V(structured), and 65507 with V(udp).
            type: int
          facility:
            description: The facility of each message. Its severity is that of the finding.
            type: str
            choices:
              - kern
              - user
              - mail
              - daemon
              - auth
              - syslog
              - lpr
              - news
              - uucp
              - cron
              - authpriv
              - ftp
              - ntp
              - audit
              - alert
              - clock
              - local0
              - local1
              - local2
              - local3
              - local4
              - local5
              - local6
              - local7
            default: local0
          app_name:
            description: The name of the application in each message, up to 48 ASCII characters without blanks.
            type: str
            default: bulwark
          hostname:
            description:
              - The host in the header of each message. The default is the host of the finding. If a receiver creates a
                log source for each host, set one name here. The event always names the finding's host.
            type: str
          sd_id:
            description:
              - The name of the structured data, with O(destinations[].syslog.format=structured). The number after the
                C(@) is an enterprise number of IANA. The default is the one for examples (RFC 5612).
            type: str
            default: bulwark@32473
          bom:
            description:
              - Whether a text with characters beyond ASCII begins with a byte order mark, as RFC 5424 requires. The
                default is V(true) with V(structured), and V(false) with V(cef) and V(leef), whose standards have no
                such mark. V(ocsf) is JSON in ASCII and has none.
            type: bool
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the trusted authorities for the receiver's
                certificate. Only these are trusted then. By default the authorities of the controller's system are
                trusted.
            type: path
          certificate:
            description: File on the controller with the exporter's certificate in PEM, for receivers that require one.
            type: path
          key:
            description:
              - File on the controller with the private key of O(destinations[].syslog.certificate), if it is not in the
                same file.
            type: path
          key_password:
            description: The password of the private key.
            type: str
          key_password_file:
            description: File with the password of the private key.
            type: path
          key_password_environment:
            description: Name of an environment variable with the password of the private key.
            type: str
          server_name:
            description:
              - The name that the certificate of the receiver must have. The default is
                O(destinations[].syslog.address).
            type: str
          verify:
            description:
              - Whether to verify the receiver's certificate. Without verification, anybody on the network path can read
                and change the events, and the export warns.
            type: bool
            default: true
      # END syslog
      # BEGIN webhook
      webhook:
        description:
          - Any address that takes JSON over HTTP, such as those of Slack, Microsoft Teams and PagerDuty. Needs urllib3
            2 or newer on the controller.
          - A change counts as sent when the reply has a status of 2xx. Each change arrives at least once. The headers
            C(Idempotency-Key) and C(webhook-id) have its C(metadata.uid), which is the same each time.
        type: dict
        suboptions:
          url:
            description:
              - Address of the webhook. It counts as a secret, so messages show only its host.
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
              - A header C(Authorization) must contain V({token}), so that the secret is never shown.
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
              - A text that consists of one V({FIELD}) becomes the value itself, such as a number or an object. If the
                event has no value for it, the member is left out. In a longer text, a missing value is empty.
              - A text that consists of V({token}) becomes O(destinations[].webhook.token) when the request is sent.
              - There are no expressions and no Jinja. Values are escaped for JSON.
            type: dict
          translations:
            description:
              - Further fields, by name. Each has C(field), the name of a field, C(values), which maps values of this
                field to words of the receiver, and C(otherwise), the word for all other values.
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
              - Secret that signs each request as Standard Webhooks describes, with HMAC-SHA256 in the header
                C(webhook-signature).
              - It is V(whsec_) followed by base64, or a text of at least 16 bytes.
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
              - Largest number of changes in a request, from 1 to 1000.
            type: int
            default: 1
          batch:
            description:
              - Format of several changes in a request, a JSON array or lines of JSON. It has no effect with one change
                a request.
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
              - Largest request in bytes, from 1000 to 16000000. A larger change loses evidences.
            type: int
            default: 1000000
          success_statuses:
            description:
              - Statuses from 400 to 599 that also mean that the receiver has the change, such as V(409).
            type: list
            elements: int
            default: []
          success_text:
            description:
              - Text that the body of a successful reply contains, for receivers that also reply with 200 when they
                refuse a request.
            type: str
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the trusted authorities for the receiver's
                certificate. Only these are trusted then. By default the authorities of the controller's system are
                trusted.
            type: path
          verify:
            description:
              - Whether to verify the receiver's certificate. Without verification, anybody on the network path can read
                and change the events, and the export warns.
              - An address with V(http://) needs V(false).
            type: bool
            default: true
          certificate:
            description:
              - File on the controller with the exporter's certificate in PEM, for receivers that require one.
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
              - Address of an HTTP proxy, such as V(http://proxy.example.com:3128). The proxy variables of the
                environment do not count.
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
              - Seconds for a connection to the receiver, above 0 and up to 600.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without a byte from the receiver after which a request fails, above 0 and up to 600.
            type: float
            default: 60
          request_timeout:
            description:
              - Seconds for a whole request, from the connection to the end of the reply, above 0 and up to 600.
            type: float
            default: 120
      # END webhook
  names:
    description:
      - Names of destinations. With O(state=absent), the destinations to remove. Otherwise those of O(destinations) to
        use, by default all.
    type: list
    elements: str
    default: []
  discard:
    description:
      - With O(state=absent), whether to give up changes that still wait. Without it, a destination for which changes
        wait is not removed.
    type: bool
    default: false
  resend:
    description: Whether to send again the changes that the receiver refused before.
    type: bool
    default: false
  run:
    description:
      - Id of the run to record the alert C(export_behind) in, from M(bulwark.servers.findings_run). The default is the
        newest run.
    type: str
  time_limit:
    description:
      - Seconds for the whole export, from 1 to 604800. The rest waits for the next export.
    type: int
    default: 300
  behind_after:
    description:
      - If a change waits longer than this, the module raises the alert C(export_behind) about its destination, on the
        host C((fleet\)). The alert is resolved when the destination has caught up. Minutes, hours, days or weeks.
    type: str
    default: 1d
  strict:
    description: Whether the task fails if a receiver failed or refused a change, or the time limit was over.
    type: bool
    default: false
  preview:
    description: In check mode, the number of waiting changes to show for each destination, from 0 to 10000.
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

- name: Send serious findings, and keep at most the newest million waiting changes
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

- name: Send refused changes again after a mapping was corrected
  bulwark.servers.findings_export:
    destinations: "{{ bulwark_export }}"
    names:
      - collector
    resend: true
  run_once: true

- name: Remove a destination, and drop its waiting changes
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
  description: Number of changes that were given up, waiting or set aside.
  returned: when O(state=absent)
  type: int
  sample: 0
destinations:
  description: The result of each destination.
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
      description: Number of changes that the receiver confirmed in this export.
      returned: always
      type: int
      sample: 120
    refused:
      description: Number of changes that were set aside in this export.
      returned: always
      type: int
      sample: 0
    shortened:
      description:
        - Number of sent changes that lack evidences or have cut values, because the receiver limits their size. The
          store has all of it.
      returned: always
      type: int
      sample: 1
    waiting:
      description: Number of changes that wait now.
      returned: always
      type: int
      sample: 0
    set_aside:
      description:
        - Number of changes that the receiver refused in this and former exports. O(resend=true) sends them again.
      returned: always
      type: int
      sample: 0
    dropped:
      description: Number of changes that a limit dropped since the destination was registered.
      returned: always
      type: int
      sample: 0
    behind_since:
      description: When the oldest waiting change was recorded, in seconds since the epoch. None if nothing waits.
      returned: always
      type: float
      sample: 1780228800.0
    retry_at:
      description: Time before which no export tries again, in seconds since the epoch. None if there is no such time.
      returned: always
      type: float
      sample: 1780229700.0
    error:
      description:
        - Reason why changes wait, in a sentence. None if nothing waits, and in check mode also without a former
          failure.
      returned: always
      type: str
      sample: connection refused
    preview:
      description: The first waiting changes in the form in which the receiver would get them.
      returned: in check mode
      type: list
      elements: dict
      contains:
        uid:
          description: The event's C(metadata.uid), by which a receiver can recognise repetitions.
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
          description: Text that would be sent, without secrets. None if the format cannot represent the event.
          returned: always
          type: str
          sample: '{"class_uid": 2004}'
        size:
          description: The size of the body in bytes.
          returned: when the format can take the event
          type: int
          sample: 2048
        removed_evidences:
          description: Number of evidences that are left out.
          returned: when the format can take the event
          type: int
          sample: 0
        shortened_values:
          description: Number of values that are cut.
          returned: when the format can take the event
          type: int
          sample: 0
        problem:
          description: Reason why the format cannot represent the event, in a sentence. None if it can.
          returned: always
          type: str
          sample: the event has no host
summary:
  description: The result as text, a line for each destination.
  returned: when O(state=exported)
  type: list
  elements: str
  sample:
    - "Export to siem (syslog, logs.example.com:6514): 120 sent, 0 waiting"
"""
