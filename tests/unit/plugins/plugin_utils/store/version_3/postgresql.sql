-- SPDX-License-Identifier: GPL-3.0-or-later
-- SPDX-FileCopyrightText: bulwark.servers contributors
-- A store of schema version 3, as bulwark.servers 0.1.0 wrote it; dumped with pg_dump --inserts.
CREATE TABLE bulwark_checkpoints (
    host text NOT NULL,
    name text NOT NULL,
    capability text NOT NULL,
    token text NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE bulwark_coverage (
    run_id text NOT NULL,
    host text NOT NULL,
    capability text NOT NULL,
    status text NOT NULL,
    entries text NOT NULL,
    recorded double precision
);
CREATE TABLE bulwark_explained (
    run_id text NOT NULL,
    host text NOT NULL,
    capability text NOT NULL,
    "position" integer NOT NULL,
    scope text NOT NULL,
    by text NOT NULL,
    count bigint NOT NULL,
    examples text NOT NULL
);
CREATE TABLE bulwark_findings (
    uid text NOT NULL,
    host text NOT NULL,
    capability text NOT NULL,
    alert text NOT NULL,
    kind text NOT NULL,
    lifecycle text NOT NULL,
    scope text NOT NULL,
    subject text NOT NULL,
    severity_id integer NOT NULL,
    status text NOT NULL,
    status_since double precision NOT NULL,
    status_by text,
    status_reason text,
    suppressed_at double precision,
    suppressed_until double precision,
    suppressed_by text,
    suppressed_reason text,
    suppressed_severity integer,
    first_seen double precision NOT NULL,
    last_seen double precision NOT NULL,
    occurred double precision NOT NULL,
    last_run text NOT NULL,
    count integer NOT NULL,
    reopened integer NOT NULL,
    event text NOT NULL
);
CREATE TABLE bulwark_history (
    id integer NOT NULL,
    at double precision NOT NULL,
    uid text NOT NULL,
    host text NOT NULL,
    action text NOT NULL,
    before_severity integer,
    after_severity integer,
    by text,
    reason text,
    run_id text
);
CREATE SEQUENCE bulwark_history_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE bulwark_history_id_seq OWNED BY bulwark_history.id;
CREATE TABLE bulwark_latest (
    host text NOT NULL,
    capability text NOT NULL,
    run_id text NOT NULL,
    started double precision NOT NULL,
    checked double precision
);
CREATE TABLE bulwark_runs (
    id text NOT NULL,
    started double precision NOT NULL,
    finished double precision,
    playbook text NOT NULL,
    "user" text NOT NULL,
    controller text NOT NULL,
    version text NOT NULL
);
CREATE TABLE bulwark_schema (
    id integer NOT NULL,
    version integer NOT NULL
);
CREATE TABLE bulwark_seal_history (
    id integer NOT NULL,
    at double precision NOT NULL,
    host text NOT NULL,
    name text NOT NULL,
    action text NOT NULL,
    digest text,
    by text,
    reason text,
    accepted text
);
CREATE SEQUENCE bulwark_seal_history_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE bulwark_seal_history_id_seq OWNED BY bulwark_seal_history.id;
CREATE TABLE bulwark_seals (
    host text NOT NULL,
    name text NOT NULL,
    digest text,
    next_digest text,
    proposed_at double precision,
    sealed_at double precision,
    by text NOT NULL,
    reason text NOT NULL,
    accepted text
);
CREATE TABLE bulwark_suppressions (
    id text NOT NULL,
    alert text NOT NULL,
    host text NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    by text NOT NULL,
    created double precision NOT NULL,
    until double precision
);
ALTER TABLE ONLY bulwark_history ALTER COLUMN id SET DEFAULT nextval('bulwark_history_id_seq'::regclass);
ALTER TABLE ONLY bulwark_seal_history ALTER COLUMN id SET DEFAULT nextval('bulwark_seal_history_id_seq'::regclass);
INSERT INTO bulwark_checkpoints VALUES ('web1', 'audit_log', 'file_integrity', 't-1', 110);
INSERT INTO bulwark_coverage VALUES ('run-1', 'web1', 'file_integrity', 'checked', '[{"scope": "etc", "status": "checked", "reason": null, "examined": 0, "skipped": [], "skipped_count": 0, "explained_count": 3, "note": null}]', 110);
INSERT INTO bulwark_coverage VALUES ('run-1', 'web2', 'file_integrity', 'not_checked', '[{"scope": "file_integrity", "status": "not_checked", "reason": "no result arrived before the run was closed; the job''s output says what failed on this host", "examined": 0, "skipped": [], "skipped_count": 0}]', NULL);
INSERT INTO bulwark_explained VALUES ('run-1', 'web1', 'file_integrity', 0, 'etc', 'openssh-server 1:10.0', 3, '["/usr/sbin/sshd"]');
INSERT INTO bulwark_findings VALUES ('9477fd50-3aed-5293-b086-f5f8bc9480fa', 'web1', 'file_integrity', 'test_alert_state', 'alert', 'state', 'etc', '/etc/passwd', 3, 'new', 110, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 110, 110, 0, 'run-1', 1, 0, '{"category_uid":2,"category_name":"Findings","class_uid":2004,"class_name":"Detection Finding","time":0,"start_time":0,"end_time":0,"count":1,"severity_id":3,"severity":"Medium","message":"A file was changed: /etc/passwd","finding_info":{"uid":"9477fd50-3aed-5293-b086-f5f8bc9480fa","title":"A file was changed","desc":"What it means.","types":["file_integrity"],"analytic":{"type_id":1,"type":"Rule","uid":"test_alert_state","name":"A file was changed"},"attacks":[{"tactic":{"uid":"TA0003","name":"Persistence"},"technique":{"uid":"T1053","name":"Scheduled Task/Job"},"sub_technique":{"uid":"T1053.003","name":"Cron"}},{"tactic":{"uid":"TA0040","name":"Impact"},"technique":{"uid":"T1485","name":"Data Destruction"}}],"product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"created_time":0,"first_seen_time":0,"last_seen_time":0,"modified_time":0},"device":{"hostname":"web1","name":"web1","type_id":0,"type":"Unknown"},"resources":[{"name":"/etc/passwd","hostname":"web1","type":"file"}],"metadata":{"version":"1.5.0","product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"profiles":["host"],"event_code":"test_alert_state","logged_time":0,"uid":"8ffea607-af74-5781-91e9-2a2c46824370"},"unmapped":{"capability":"file_integrity","alert":"test_alert_state","scope":"etc","subject":"/etc/passwd","lifecycle":"state","kind":"alert","status":"new"},"remediation":{"desc":"What to do.","references":["https://example.com/what-to-do"]},"evidences":[{"file":{"name":"passwd","path":"/etc/passwd","type_id":1}}],"activity_id":1,"activity_name":"Create","type_uid":200401,"type_name":"Detection Finding: Create","status_id":1,"status":"New","is_alert":true}');
INSERT INTO bulwark_findings VALUES ('01abe873-b21a-5859-a19a-2db44c14c8a3', 'web1', 'file_integrity', 'test_alert_state', 'alert', 'state', 'etc', '/etc/shadow', 3, 'open', 130, NULL, NULL, 130, NULL, 'alice', 'known', 3, 110, 110, 0, 'run-1', 1, 0, '{"category_uid":2,"category_name":"Findings","class_uid":2004,"class_name":"Detection Finding","time":0,"start_time":0,"end_time":0,"count":1,"severity_id":3,"severity":"Medium","message":"A file was changed: /etc/shadow","finding_info":{"uid":"01abe873-b21a-5859-a19a-2db44c14c8a3","title":"A file was changed","desc":"What it means.","types":["file_integrity"],"analytic":{"type_id":1,"type":"Rule","uid":"test_alert_state","name":"A file was changed"},"attacks":[{"tactic":{"uid":"TA0003","name":"Persistence"},"technique":{"uid":"T1053","name":"Scheduled Task/Job"},"sub_technique":{"uid":"T1053.003","name":"Cron"}},{"tactic":{"uid":"TA0040","name":"Impact"},"technique":{"uid":"T1485","name":"Data Destruction"}}],"product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"created_time":0,"first_seen_time":0,"last_seen_time":0,"modified_time":0},"device":{"hostname":"web1","name":"web1","type_id":0,"type":"Unknown"},"resources":[{"name":"/etc/shadow","hostname":"web1"}],"metadata":{"version":"1.5.0","product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"profiles":["host"],"event_code":"test_alert_state","logged_time":0,"uid":"6b4c577c-b357-5979-98ba-48c47237443b"},"unmapped":{"capability":"file_integrity","alert":"test_alert_state","scope":"etc","subject":"/etc/shadow","lifecycle":"state","kind":"alert","status":"new"},"remediation":{"desc":"What to do.","references":["https://example.com/what-to-do"]},"activity_id":1,"activity_name":"Create","type_uid":200401,"type_name":"Detection Finding: Create","status_id":1,"status":"New","is_alert":true}');
INSERT INTO bulwark_history VALUES (1, 110, '01abe873-b21a-5859-a19a-2db44c14c8a3', 'web1', 'new', NULL, 3, NULL, NULL, 'run-1');
INSERT INTO bulwark_history VALUES (2, 110, '9477fd50-3aed-5293-b086-f5f8bc9480fa', 'web1', 'new', NULL, 3, NULL, NULL, 'run-1');
INSERT INTO bulwark_history VALUES (3, 130, '01abe873-b21a-5859-a19a-2db44c14c8a3', 'web1', 'suppressed', 3, NULL, 'alice', 'known', NULL);
INSERT INTO bulwark_latest VALUES ('web2', 'file_integrity', 'run-1', 100, NULL);
INSERT INTO bulwark_latest VALUES ('web1', 'file_integrity', 'run-1', 100, 110);
INSERT INTO bulwark_runs VALUES ('run-1', 100, 150, 'scan', 'alice', 'control1', '0.1.0');
INSERT INTO bulwark_schema VALUES (1, 3);
INSERT INTO bulwark_seal_history VALUES (1, 140, 'web1', 'default', 'proposed', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'alice', 'CHG-1', NULL);
INSERT INTO bulwark_seal_history VALUES (2, 141, 'web1', 'default', 'confirmed', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'alice', 'CHG-1', '{"capability": "file_integrity", "count": 1, "changes": [{"id": "1", "subject": "/etc/hosts", "kind": "modified"}], "is_complete": true}');
INSERT INTO bulwark_seals VALUES ('web1', 'default', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', NULL, NULL, 141, 'alice', 'CHG-1', NULL);
INSERT INTO bulwark_suppressions VALUES ('25a5f521-e9f3-4fe6-a1d6-5a0eb885a55a', '*', '*', '/etc/shadow', 'known', 'alice', 130, NULL);
SELECT pg_catalog.setval('bulwark_history_id_seq', 3, true);
SELECT pg_catalog.setval('bulwark_seal_history_id_seq', 2, true);
ALTER TABLE ONLY bulwark_checkpoints
    ADD CONSTRAINT bulwark_checkpoints_pkey PRIMARY KEY (host, name);
ALTER TABLE ONLY bulwark_coverage
    ADD CONSTRAINT bulwark_coverage_pkey PRIMARY KEY (run_id, host, capability);
ALTER TABLE ONLY bulwark_explained
    ADD CONSTRAINT bulwark_explained_pkey PRIMARY KEY (run_id, host, capability, "position");
ALTER TABLE ONLY bulwark_findings
    ADD CONSTRAINT bulwark_findings_pkey PRIMARY KEY (uid);
ALTER TABLE ONLY bulwark_history
    ADD CONSTRAINT bulwark_history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bulwark_latest
    ADD CONSTRAINT bulwark_latest_pkey PRIMARY KEY (host, capability);
ALTER TABLE ONLY bulwark_runs
    ADD CONSTRAINT bulwark_runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bulwark_schema
    ADD CONSTRAINT bulwark_schema_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bulwark_seal_history
    ADD CONSTRAINT bulwark_seal_history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bulwark_seals
    ADD CONSTRAINT bulwark_seals_pkey PRIMARY KEY (host, name);
ALTER TABLE ONLY bulwark_suppressions
    ADD CONSTRAINT bulwark_suppressions_pkey PRIMARY KEY (id);
CREATE INDEX ix_bulwark_coverage_host ON bulwark_coverage USING btree (host, capability);
CREATE INDEX ix_bulwark_explained_by ON bulwark_explained USING btree (by);
CREATE INDEX ix_bulwark_findings_alert ON bulwark_findings USING btree (alert);
CREATE INDEX ix_bulwark_findings_host ON bulwark_findings USING btree (host, capability);
CREATE INDEX ix_bulwark_findings_last_seen ON bulwark_findings USING btree (last_seen);
CREATE INDEX ix_bulwark_findings_order ON bulwark_findings USING btree (severity_id DESC, last_seen DESC, uid);
CREATE INDEX ix_bulwark_history_at ON bulwark_history USING btree (at);
CREATE INDEX ix_bulwark_history_uid ON bulwark_history USING btree (uid);
CREATE INDEX ix_bulwark_latest_run_id ON bulwark_latest USING btree (run_id);
CREATE INDEX ix_bulwark_runs_started ON bulwark_runs USING btree (started);
CREATE INDEX ix_bulwark_seal_history_seal ON bulwark_seal_history USING btree (host, name);
ALTER TABLE ONLY bulwark_coverage
    ADD CONSTRAINT bulwark_coverage_run_id_fkey FOREIGN KEY (run_id) REFERENCES bulwark_runs(id);
ALTER TABLE ONLY bulwark_explained
    ADD CONSTRAINT bulwark_explained_run_id_host_capability_fkey FOREIGN KEY (run_id, host, capability) REFERENCES bulwark_coverage(run_id, host, capability) ON DELETE CASCADE;
ALTER TABLE ONLY bulwark_history
    ADD CONSTRAINT bulwark_history_uid_fkey FOREIGN KEY (uid) REFERENCES bulwark_findings(uid) ON DELETE CASCADE;
