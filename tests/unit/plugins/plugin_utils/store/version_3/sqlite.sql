-- SPDX-License-Identifier: GPL-3.0-or-later
-- SPDX-FileCopyrightText: bulwark.servers contributors
-- A store of schema version 3, as bulwark.servers 0.1.0 wrote it; dumped with sqlite3's iterdump.
BEGIN TRANSACTION;
CREATE TABLE bulwark_checkpoints (
	host TEXT NOT NULL, 
	name TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	token TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	PRIMARY KEY (host, name)
);
INSERT INTO "bulwark_checkpoints" VALUES('web1','audit_log','file_integrity','t-1',110.0);
CREATE TABLE bulwark_coverage (
	run_id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	status TEXT NOT NULL, 
	entries TEXT NOT NULL, 
	recorded DOUBLE, 
	PRIMARY KEY (run_id, host, capability), 
	FOREIGN KEY(run_id) REFERENCES bulwark_runs (id)
);
INSERT INTO "bulwark_coverage" VALUES('run-1','web1','file_integrity','checked','[{"scope": "etc", "status": "checked", "reason": null, "examined": 0, "skipped": [], "skipped_count": 0, "explained_count": 3, "note": null}]',110.0);
INSERT INTO "bulwark_coverage" VALUES('run-1','web2','file_integrity','not_checked','[{"scope": "file_integrity", "status": "not_checked", "reason": "no result arrived before the run was closed; the job''s output says what failed on this host", "examined": 0, "skipped": [], "skipped_count": 0}]',NULL);
CREATE TABLE bulwark_explained (
	run_id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	scope TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	count BIGINT NOT NULL, 
	examples TEXT NOT NULL, 
	PRIMARY KEY (run_id, host, capability, position), 
	FOREIGN KEY(run_id, host, capability) REFERENCES bulwark_coverage (run_id, host, capability) ON DELETE CASCADE
);
INSERT INTO "bulwark_explained" VALUES('run-1','web1','file_integrity',0,'etc','openssh-server 1:10.0',3,'["/usr/sbin/sshd"]');
CREATE TABLE bulwark_findings (
	uid TEXT NOT NULL, 
	host TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	alert TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	lifecycle TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	severity_id INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	status_since DOUBLE NOT NULL, 
	status_by TEXT, 
	status_reason TEXT, 
	suppressed_at DOUBLE, 
	suppressed_until DOUBLE, 
	suppressed_by TEXT, 
	suppressed_reason TEXT, 
	suppressed_severity INTEGER, 
	first_seen DOUBLE NOT NULL, 
	last_seen DOUBLE NOT NULL, 
	occurred DOUBLE NOT NULL, 
	last_run TEXT NOT NULL, 
	count INTEGER NOT NULL, 
	reopened INTEGER NOT NULL, 
	event TEXT NOT NULL, 
	PRIMARY KEY (uid)
);
INSERT INTO "bulwark_findings" VALUES('01abe873-b21a-5859-a19a-2db44c14c8a3','web1','file_integrity','test_alert_state','alert','state','etc','/etc/shadow',3,'open',130.0,NULL,NULL,130.0,NULL,'alice','known',3,110.0,110.0,0.0,'run-1',1,0,'{"category_uid":2,"category_name":"Findings","class_uid":2004,"class_name":"Detection Finding","time":0,"start_time":0,"end_time":0,"count":1,"severity_id":3,"severity":"Medium","message":"A file was changed: /etc/shadow","finding_info":{"uid":"01abe873-b21a-5859-a19a-2db44c14c8a3","title":"A file was changed","desc":"What it means.","types":["file_integrity"],"analytic":{"type_id":1,"type":"Rule","uid":"test_alert_state","name":"A file was changed"},"attacks":[{"tactic":{"uid":"TA0003","name":"Persistence"},"technique":{"uid":"T1053","name":"Scheduled Task/Job"},"sub_technique":{"uid":"T1053.003","name":"Cron"}},{"tactic":{"uid":"TA0040","name":"Impact"},"technique":{"uid":"T1485","name":"Data Destruction"}}],"product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"created_time":0,"first_seen_time":0,"last_seen_time":0,"modified_time":0},"device":{"hostname":"web1","name":"web1","type_id":0,"type":"Unknown"},"resources":[{"name":"/etc/shadow","hostname":"web1"}],"metadata":{"version":"1.5.0","product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"profiles":["host"],"event_code":"test_alert_state","logged_time":0,"uid":"6b4c577c-b357-5979-98ba-48c47237443b"},"unmapped":{"capability":"file_integrity","alert":"test_alert_state","scope":"etc","subject":"/etc/shadow","lifecycle":"state","kind":"alert","status":"new"},"remediation":{"desc":"What to do.","references":["https://example.com/what-to-do"]},"activity_id":1,"activity_name":"Create","type_uid":200401,"type_name":"Detection Finding: Create","status_id":1,"status":"New","is_alert":true}');
INSERT INTO "bulwark_findings" VALUES('9477fd50-3aed-5293-b086-f5f8bc9480fa','web1','file_integrity','test_alert_state','alert','state','etc','/etc/passwd',3,'new',110.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,110.0,110.0,0.0,'run-1',1,0,'{"category_uid":2,"category_name":"Findings","class_uid":2004,"class_name":"Detection Finding","time":0,"start_time":0,"end_time":0,"count":1,"severity_id":3,"severity":"Medium","message":"A file was changed: /etc/passwd","finding_info":{"uid":"9477fd50-3aed-5293-b086-f5f8bc9480fa","title":"A file was changed","desc":"What it means.","types":["file_integrity"],"analytic":{"type_id":1,"type":"Rule","uid":"test_alert_state","name":"A file was changed"},"attacks":[{"tactic":{"uid":"TA0003","name":"Persistence"},"technique":{"uid":"T1053","name":"Scheduled Task/Job"},"sub_technique":{"uid":"T1053.003","name":"Cron"}},{"tactic":{"uid":"TA0040","name":"Impact"},"technique":{"uid":"T1485","name":"Data Destruction"}}],"product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"created_time":0,"first_seen_time":0,"last_seen_time":0,"modified_time":0},"device":{"hostname":"web1","name":"web1","type_id":0,"type":"Unknown"},"resources":[{"name":"/etc/passwd","hostname":"web1","type":"file"}],"metadata":{"version":"1.5.0","product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"profiles":["host"],"event_code":"test_alert_state","logged_time":0,"uid":"8ffea607-af74-5781-91e9-2a2c46824370"},"unmapped":{"capability":"file_integrity","alert":"test_alert_state","scope":"etc","subject":"/etc/passwd","lifecycle":"state","kind":"alert","status":"new"},"remediation":{"desc":"What to do.","references":["https://example.com/what-to-do"]},"evidences":[{"file":{"name":"passwd","path":"/etc/passwd","type_id":1}}],"activity_id":1,"activity_name":"Create","type_uid":200401,"type_name":"Detection Finding: Create","status_id":1,"status":"New","is_alert":true}');
CREATE TABLE bulwark_history (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	uid TEXT NOT NULL, 
	host TEXT NOT NULL, 
	action TEXT NOT NULL, 
	before_severity INTEGER, 
	after_severity INTEGER, 
	"by" TEXT, 
	reason TEXT, 
	run_id TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(uid) REFERENCES bulwark_findings (uid) ON DELETE CASCADE
);
INSERT INTO "bulwark_history" VALUES(1,110.0,'01abe873-b21a-5859-a19a-2db44c14c8a3','web1','new',NULL,3,NULL,NULL,'run-1');
INSERT INTO "bulwark_history" VALUES(2,110.0,'9477fd50-3aed-5293-b086-f5f8bc9480fa','web1','new',NULL,3,NULL,NULL,'run-1');
INSERT INTO "bulwark_history" VALUES(3,130.0,'01abe873-b21a-5859-a19a-2db44c14c8a3','web1','suppressed',3,NULL,'alice','known',NULL);
CREATE TABLE bulwark_latest (
	host TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	started DOUBLE NOT NULL, 
	checked DOUBLE, 
	PRIMARY KEY (host, capability)
);
INSERT INTO "bulwark_latest" VALUES('web1','file_integrity','run-1',100.0,110.0);
INSERT INTO "bulwark_latest" VALUES('web2','file_integrity','run-1',100.0,NULL);
CREATE TABLE bulwark_runs (
	id TEXT NOT NULL, 
	started DOUBLE NOT NULL, 
	finished DOUBLE, 
	playbook TEXT NOT NULL, 
	user TEXT NOT NULL, 
	controller TEXT NOT NULL, 
	version TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "bulwark_runs" VALUES('run-1',100.0,150.0,'scan','alice','control1','0.1.0');
CREATE TABLE bulwark_schema (
	id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "bulwark_schema" VALUES(1,3);
CREATE TABLE bulwark_seal_history (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	host TEXT NOT NULL, 
	name TEXT NOT NULL, 
	action TEXT NOT NULL, 
	digest TEXT, 
	"by" TEXT, 
	reason TEXT, 
	accepted TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "bulwark_seal_history" VALUES(1,140.0,'web1','default','proposed','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','alice','CHG-1',NULL);
INSERT INTO "bulwark_seal_history" VALUES(2,141.0,'web1','default','confirmed','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','alice','CHG-1','{"capability": "file_integrity", "count": 1, "changes": [{"id": "1", "subject": "/etc/hosts", "kind": "modified"}], "is_complete": true}');
CREATE TABLE bulwark_seals (
	host TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT, 
	next_digest TEXT, 
	proposed_at DOUBLE, 
	sealed_at DOUBLE, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	accepted TEXT, 
	PRIMARY KEY (host, name)
);
INSERT INTO "bulwark_seals" VALUES('web1','default','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',NULL,NULL,141.0,'alice','CHG-1',NULL);
CREATE TABLE bulwark_suppressions (
	id TEXT NOT NULL, 
	alert TEXT NOT NULL, 
	host TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	until DOUBLE, 
	PRIMARY KEY (id)
);
INSERT INTO "bulwark_suppressions" VALUES('71e01267-ca28-422e-813a-f4e44d59e94d','*','*','/etc/shadow','known','alice',130.0,NULL);
CREATE INDEX ix_bulwark_runs_started ON bulwark_runs (started);
CREATE INDEX ix_bulwark_latest_run_id ON bulwark_latest (run_id);
CREATE INDEX ix_bulwark_findings_host ON bulwark_findings (host, capability);
CREATE INDEX ix_bulwark_findings_alert ON bulwark_findings (alert);
CREATE INDEX ix_bulwark_findings_last_seen ON bulwark_findings (last_seen);
CREATE INDEX ix_bulwark_findings_order ON bulwark_findings (severity_id DESC, last_seen DESC, uid);
CREATE INDEX ix_bulwark_seal_history_seal ON bulwark_seal_history (host, name);
CREATE INDEX ix_bulwark_coverage_host ON bulwark_coverage (host, capability);
CREATE INDEX ix_bulwark_history_at ON bulwark_history (at);
CREATE INDEX ix_bulwark_history_uid ON bulwark_history (uid);
CREATE INDEX ix_bulwark_explained_by ON bulwark_explained ("by");
COMMIT;
