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
      - Required with O(state=present). Without any, O(state=exported) only warns of destinations that the store still
        queues changes for, and raises their alert.
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
        description: How many changes wait at most, 1 or more. By default there is no limit.
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
      elastic:
        description:
          - A data stream of Elasticsearch or OpenSearch. Needs the vendor's client on the controller, elasticsearch 8
            or 9 or opensearch-py 2 or 3, and urllib3 2 or newer.
          - Each event is created with its C(metadata.uid) as C(_id). The receiver refuses a second one, so that each
            arrives once, unless the data stream got a new backing index between two attempts.
        type: dict
        suboptions:
          url:
            description:
              - Address of the receiver, such as V(https://search.example.com:9200). It may have a path.
            type: str
            required: true
          product:
            description:
              - What the receiver is. The client of Elasticsearch sends to nothing else.
            type: str
            choices: [elasticsearch, opensearch]
            default: elasticsearch
          data_stream:
            description:
              - Name of the data stream. An index template must make it one.
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
              - API key of Elasticsearch in the form that it shows as C(encoded). OpenSearch has none.
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
              - User, in place of an API key or a client certificate.
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
              - Size of a document in bytes, from 10000 to 4000000. A larger one loses evidences, and says so in its
                notes.
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
              - Address of an HTTP proxy, such as V(http://proxy.example.com:3128). The proxies of the environment are
                not used.
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
              - Seconds without any byte from the receiver after which a request has failed, above 0 and up to 600.
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
          - A file on the controller with one event on a line. Each change is in the file once, also after a crash.
        type: dict
        suboptions:
          path:
            description:
              - Path of the file. Its directory has to exist.
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
              - Size of a line in bytes, from 1024 to 10000000. A larger event loses evidences, and says so in
                C(unmapped.notes).
            type: int
            default: 1000000
          max_size:
            description:
              - Size in bytes, from 1000000 and not below O(destinations[].file.max_event), after which a file is
                full. It becomes C(path.1), C(path.1) becomes C(path.2), and so on.
            type: int
            default: 100000000
          files:
            description:
              - How many files there are at most, from 1 to 1000, with the one that is written. The oldest one is
                removed.
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
          - A message is an OCSF event as JSON. The key is the finding, so that its changes stay in order. The
            header C(uid) has C(metadata.uid).
          - A change counts as sent when all in-sync replicas have it. While an export lives, each change arrives once.
            After a crash of the controller the last changes may arrive again.
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
              - Topic of all events that have no topic of their own. It has to exist, unless the cluster creates topics.
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
              - Topic of Vulnerability Findings.
            type: str
          schema_id:
            description:
              - Id of a JSON schema in a schema registry, from 1. Each value then begins with a zero byte and the id, as
                readers with a registry expect it. By default a value is JSON alone.
            type: int
          max_event:
            description:
              - Size of an event in bytes, from 10000 to 100000000. A larger one loses evidences, and says so in
                C(unmapped.notes). Keep it 5000 bytes below the cluster's C(message.max.bytes) and the topic's
                C(max.message.bytes).
            type: int
            default: 1000000
          compression:
            description:
              - Compression of what is sent.
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
              - File on the controller with the certificates, in PEM, of the authorities that the brokers' certificates
                may come from. By default those of the controller's system count.
            type: path
          certificate:
            description:
              - File on the controller with the exporter's own certificate in PEM, for clusters that want one.
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
              - Whether the brokers' certificates and names are verified. Without verification anybody on the way can
                read and change what is sent, and the export warns.
            type: bool
            default: true
          mechanism:
            description:
              - How to sign in with SASL. V(PLAIN) needs TLS.
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
              - Seconds in which the cluster has to confirm what it gets, from 1 to 600.
            type: float
            default: 60
      # END kafka
      # BEGIN sentinel
      sentinel:
        description:
          - A table of Microsoft Sentinel, by the Logs Ingestion API of Azure Monitor. Needs azure-monitor-ingestion,
            azure-identity, and urllib3 2 or newer on the controller.
          - Each event arrives at least once. A query tells repetitions by C(metadata.uid), or C(EventUid) with ASIM.
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
              - The cloud of Azure that the workspace is in.
            type: str
            choices: [public, government, china]
            default: public
          authority:
            description:
              - Address that gives tokens. By default that of the cloud, such as V(https://login.microsoftonline.com).
            type: str
          tenant:
            description:
              - Id of the directory (tenant) of Entra ID. Required unless O(destinations[].sentinel.managed_identity).
            type: str
          client:
            description:
              - Id of the application (client). With O(destinations[].sentinel.managed_identity) that of an identity
                that a user assigned. By default the machine's own identity counts.
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
              - File on the controller with a certificate of the application and its private key, in PEM or PKCS 12, in
                place of a secret.
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
              - Whether the controller is a machine of Azure, or one with Azure Arc, and sends as its managed identity.
            type: bool
            default: false
          ca_file:
            description:
              - File on the controller with the certificates, in PEM, of the authorities that the receiver's certificate
                may come from. Only these count then. By default those of the controller's system count.
            type: path
          verify:
            description:
              - Whether the receiver's certificate is verified. Without verification anybody on the way can read and
                change what is sent, and the export warns.
            type: bool
            default: true
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
              - Seconds without any byte from the receiver after which a request has failed, above 0 and up to 600.
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
              - V(cim) has the fields of Splunk's Common Information Model. V(ocsf) sends events as the store has them.
              - The app C(TA-bulwark) of this collection gives both their source types, fields and tags.
            type: str
            choices: [cim, ocsf]
            default: cim
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
              - Seconds after which a change that Splunk has not indexed is sent again, above 0 and up to 300.
            type: float
            default: 120
          max_event:
            description:
              - Size of an event in bytes, from 10000 to 1000000. A larger one loses evidences, and says so in
                C(unmapped.notes).
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
              - Seconds for a connection to the receiver, above 0 and up to 600.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without any byte from the receiver after which a request has failed, above 0 and up to 600.
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
          - By TLS and TCP a batch counts as sent when the receiver has read all of it and ended the connection in
            order after this side. A connection that is reset makes the batch due again. RELP acknowledges each
            message. UDP promises nothing.
        type: dict
        suboptions:
          address:
            description: Name or address of the receiver.
            type: str
            required: true
          port:
            description:
              - Its port, from 1 to 65535. The default depends on O(destinations[].syslog.transport) and is 6514 for
                V(tls), 601 for V(tcp), 514 for V(udp), and 2514 for V(relp) and V(relp_tls).
            type: int
          transport:
            description:
              - How messages travel. Only V(tls) and V(relp_tls) encrypt them, and only V(relp) and V(relp_tls)
                acknowledge each message.
              - V(udp) sends datagrams that can get lost without a sign.
            type: str
            choices: [tls, tcp, udp, relp, relp_tls]
            default: tls
          framing:
            description:
              - How a receiver tells where a message ends, with V(tls) and V(tcp). V(octets) writes the length before
                each message (RFC 5425, and octet counting of RFC 6587). V(newline) ends each message with a newline,
                for receivers that do not count, QRadar among them.
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
              - What a message holds. V(ocsf) is the whole event as JSON. V(structured) has named fields as structured
                data, and the sentence of the finding as its text. V(cef) is for ArcSight and whoever reads CEF, V(leef)
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
              - The largest message in bytes, from 2048 to 10000000. A larger event loses evidences from the last on,
                then long values are cut, and a note in the event says so.
              - The default is 8000, as rsyslog by default cuts a message over 8096 bytes into several. With
                V(leef) it is 4000, as QRadar by default splits what is over 4096 bytes. RFC 5426 wants receivers of
                datagrams to take 2048 bytes, which is too little for most events as V(ocsf).
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
              - The host in the header of each message. The default is the host that the finding is about. A receiver
                that makes a log source of each host needs one name here. The event always names the finding's host.
            type: str
          sd_id:
            description:
              - The name of the structured data, with O(destinations[].syslog.format=structured). The number after the
                C(@) is an enterprise number of IANA. The default is the one for examples (RFC 5612).
            type: str
            default: bulwark@32473
          bom:
            description:
              - Whether a text with characters beyond ASCII begins with a byte order mark, as RFC 5424 demands. The
                default is V(true) with V(structured), and V(false) with V(cef) and V(leef), whose standards know none.
                V(ocsf) is JSON in ASCII and has none.
            type: bool
          ca_file:
            description:
              - File with the certificates of the authorities to trust, in PEM. The default is the authorities of the
                system.
            type: path
          certificate:
            description: File with the certificate that this side shows, in PEM, for a receiver that asks for one.
            type: path
          key:
            description:
              - File with the private key of O(destinations[].syslog.certificate). The default is the same file.
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
              - Whether to verify the certificate of the receiver. V(false) lets anybody in between read and change all
                findings. Each export warns about it.
            type: bool
            default: true
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
              - How many changes a request has at most, from 1 to 1000.
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
              - Size of a request in bytes, from 1000 to 16000000. A larger change loses evidences.
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
              - Seconds for a connection to the receiver, above 0 and up to 600.
            type: float
            default: 10
          read_timeout:
            description:
              - Seconds without any byte from the receiver after which a request has failed, above 0 and up to 600.
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
      - Seconds for the whole export, from 1 to 604800. The rest waits for the next export.
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
    description: In check mode, of how many waiting changes of each destination to show how they read, from 0 to 10000.
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
      description:
        - Why changes wait, in a sentence. None if nothing waits, and in check mode also without a former failure.
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
