-- The schema after all migrations. Written by `node db/write-schema.ts`; do not edit.

CREATE TABLE allowed_deletions (
  cid text NOT NULL,
  node_id text NOT NULL,
  until bigint NOT NULL,
  CONSTRAINT allowed_deletions_cid_node_id_pk PRIMARY KEY (cid, node_id)
);

CREATE TABLE audit_chain (
  "position" bigint NOT NULL,
  audit_id bigint NOT NULL,
  hash text NOT NULL,
  signature text,
  CONSTRAINT audit_chain_audit_id_audit_logs_id_fk FOREIGN KEY (audit_id) REFERENCES audit_logs(id),
  CONSTRAINT audit_chain_audit_id_unique UNIQUE (audit_id),
  CONSTRAINT audit_chain_pkey PRIMARY KEY ("position")
);
CREATE TRIGGER audit_chain_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_chain FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE TABLE audit_logs (
  id bigint NOT NULL DEFAULT nextval('audit_logs_id_seq'::regclass),
  event_key text NOT NULL,
  "timestamp" bigint NOT NULL,
  action text NOT NULL,
  entity_type text NOT NULL,
  entity_id text NOT NULL,
  actor text NOT NULL,
  detail text NOT NULL,
  cause text NOT NULL,
  correlation_id text NOT NULL,
  CONSTRAINT audit_logs_event_key_unique UNIQUE (event_key),
  CONSTRAINT audit_logs_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_logs_action ON public.audit_logs USING btree (action, id);
CREATE INDEX audit_logs_actor ON public.audit_logs USING btree (actor, id);
CREATE INDEX audit_logs_correlation ON public.audit_logs USING btree (correlation_id, id);
CREATE INDEX audit_logs_entity ON public.audit_logs USING btree (entity_type, entity_id, id);
CREATE TRIGGER audit_logs_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_logs FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE TABLE browser_sessions (
  id_hash text NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  keys_hash text NOT NULL DEFAULT ''::text,
  address text NOT NULL DEFAULT ''::text,
  user_agent text NOT NULL DEFAULT ''::text,
  CONSTRAINT browser_sessions_pkey PRIMARY KEY (id_hash)
);

CREATE TABLE enrolment_tokens (
  token_hash text NOT NULL,
  node_id text,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  used_at bigint,
  used_by text,
  pools jsonb NOT NULL DEFAULT '[]'::jsonb,
  CONSTRAINT enrolment_tokens_pkey PRIMARY KEY (token_hash)
);

CREATE TABLE events (
  seq bigint NOT NULL DEFAULT nextval('events_seq_seq'::regclass),
  payload jsonb NOT NULL,
  at bigint NOT NULL,
  CONSTRAINT events_pkey PRIMARY KEY (seq)
);

CREATE TABLE jobs (
  id text NOT NULL,
  action text NOT NULL,
  trigger text NOT NULL,
  project text NOT NULL,
  canonical_id text NOT NULL,
  agent text NOT NULL,
  status text NOT NULL,
  detail text NOT NULL,
  error_code text,
  workflow_id text NOT NULL,
  run_id text NOT NULL,
  rows_sent bigint NOT NULL DEFAULT 0,
  rows_inserted bigint NOT NULL DEFAULT 0,
  rows_updated bigint NOT NULL DEFAULT 0,
  bytes_up bigint NOT NULL DEFAULT 0,
  bytes_down bigint NOT NULL DEFAULT 0,
  requests bigint NOT NULL DEFAULT 0,
  created_at bigint NOT NULL,
  finished_at bigint,
  ms bigint,
  rows_deleted bigint NOT NULL DEFAULT 0,
  CONSTRAINT jobs_pkey PRIMARY KEY (id)
);
CREATE INDEX jobs_finished_at ON public.jobs USING btree (finished_at);
CREATE INDEX jobs_newest ON public.jobs USING btree (created_at DESC, id DESC);
CREATE INDEX jobs_of_agent ON public.jobs USING btree (agent, created_at DESC, id DESC);
CREATE INDEX jobs_of_both ON public.jobs USING btree (project, agent, created_at DESC, id DESC);
CREATE INDEX jobs_of_project ON public.jobs USING btree (project, created_at DESC, id DESC);
CREATE INDEX jobs_status ON public.jobs USING btree (status);

CREATE TABLE leadership_events (
  cid text NOT NULL,
  epoch bigint NOT NULL,
  event text NOT NULL,
  at bigint NOT NULL,
  primary_node_id text,
  by text NOT NULL,
  CONSTRAINT leadership_events_cid_epoch_event_pk PRIMARY KEY (cid, epoch, event)
);

CREATE TABLE leaderships (
  cid text NOT NULL,
  primary_node_id text,
  epoch bigint NOT NULL,
  issued_at bigint,
  expires_at bigint,
  lease_seconds integer NOT NULL,
  issued_by text,
  last_snapshot_at bigint,
  last_mirror_at bigint,
  last_error text,
  CONSTRAINT leaderships_pkey PRIMARY KEY (cid)
);

CREATE TABLE leases (
  id text NOT NULL,
  task_id text NOT NULL,
  worker_id text NOT NULL,
  epoch integer NOT NULL,
  kind text NOT NULL,
  started_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  ttl_seconds integer NOT NULL,
  status text NOT NULL,
  last_heartbeat bigint NOT NULL,
  context_id text NOT NULL,
  ended_at bigint,
  end_reason text,
  CONSTRAINT leases_pkey PRIMARY KEY (id)
);
CREATE INDEX leases_context ON public.leases USING btree (context_id, started_at DESC);
CREATE INDEX leases_started ON public.leases USING btree (started_at DESC, id DESC);
CREATE INDEX leases_status ON public.leases USING btree (status, started_at DESC);
CREATE INDEX leases_task ON public.leases USING btree (task_id, epoch);
CREATE INDEX leases_worker ON public.leases USING btree (worker_id, status);

CREATE TABLE llm_results (
  id text NOT NULL,
  task_id text NOT NULL,
  lease_id text NOT NULL,
  worker_id text NOT NULL,
  artifact_id text,
  status text NOT NULL,
  error_code text,
  error_message text,
  duration_ms double precision NOT NULL,
  usage jsonb NOT NULL,
  cost_usd double precision NOT NULL DEFAULT 0,
  tokens integer NOT NULL DEFAULT 0,
  context_id text NOT NULL,
  project_id text,
  notes jsonb NOT NULL,
  completed_at bigint NOT NULL,
  exit_code integer,
  CONSTRAINT llm_results_lease_id_unique UNIQUE (lease_id),
  CONSTRAINT llm_results_pkey PRIMARY KEY (id)
);
CREATE INDEX llm_results_completed ON public.llm_results USING btree (completed_at DESC);
CREATE INDEX llm_results_context ON public.llm_results USING btree (context_id, completed_at DESC);
CREATE INDEX llm_results_project ON public.llm_results USING btree (project_id, completed_at DESC);
CREATE INDEX llm_results_task ON public.llm_results USING btree (task_id);

CREATE TABLE llm_tasks (
  id text NOT NULL,
  context_id text NOT NULL,
  agent_slug text NOT NULL,
  prompt text NOT NULL,
  context_hints jsonb NOT NULL,
  policy jsonb NOT NULL,
  desired_format text NOT NULL,
  status text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  finished_at bigint,
  lease_id text,
  worker_id text,
  attempts integer NOT NULL,
  max_attempts integer NOT NULL,
  seq integer NOT NULL,
  epoch integer NOT NULL,
  dispatched boolean NOT NULL,
  pool text NOT NULL,
  requested_worker_id text,
  project_id text,
  priority integer NOT NULL,
  fairness_key text NOT NULL,
  not_before bigint,
  depends_on jsonb NOT NULL,
  lease_ttl_seconds integer NOT NULL,
  artifact_type text NOT NULL,
  tags jsonb NOT NULL,
  webhook_url text,
  schedule_id text,
  created_by text NOT NULL,
  request_hash text NOT NULL,
  detail text NOT NULL,
  error_code text,
  error_message text,
  cancel_requested_at bigint,
  workflow_id text NOT NULL,
  run_id text NOT NULL,
  CONSTRAINT llm_tasks_pkey PRIMARY KEY (id)
);
CREATE INDEX llm_tasks_created_at ON public.llm_tasks USING btree (created_at DESC, id DESC);
CREATE INDEX llm_tasks_depends_on ON public.llm_tasks USING gin (depends_on);
CREATE INDEX llm_tasks_finished_at ON public.llm_tasks USING btree (finished_at);
CREATE INDEX llm_tasks_of_context ON public.llm_tasks USING btree (context_id, created_at DESC, id DESC);
CREATE INDEX llm_tasks_of_project ON public.llm_tasks USING btree (project_id, created_at DESC, id DESC);
CREATE INDEX llm_tasks_status ON public.llm_tasks USING btree (status, created_at DESC, id DESC);
CREATE INDEX llm_tasks_tags ON public.llm_tasks USING gin (tags jsonb_path_ops);
CREATE INDEX llm_tasks_waiting ON public.llm_tasks USING btree (status, pool, priority, created_at, id);
CREATE TRIGGER llm_tasks_text AFTER INSERT ON public.llm_tasks FOR EACH ROW EXECUTE FUNCTION write_task_text();

CREATE TABLE managed_projects (
  id text NOT NULL,
  name text NOT NULL,
  repo_url text NOT NULL,
  canonical_id text NOT NULL,
  aliases jsonb NOT NULL DEFAULT '[]'::jsonb,
  target_path text,
  branch text,
  depth integer,
  submodules boolean NOT NULL DEFAULT false,
  primary_node_id text,
  space text,
  tags jsonb NOT NULL DEFAULT '[]'::jsonb,
  new_nodes_since bigint,
  known_hosts text,
  credential text,
  credential_info jsonb,
  memory_cron text,
  fetch_cron text,
  propagation jsonb,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  update_cron text,
  push_secret text,
  push_secret_at bigint,
  CONSTRAINT managed_projects_canonical_id_unique UNIQUE (canonical_id),
  CONSTRAINT managed_projects_name_unique UNIQUE (name),
  CONSTRAINT managed_projects_pkey PRIMARY KEY (id)
);

CREATE TABLE nodes (
  id text NOT NULL,
  key_hash text NOT NULL,
  public_key text NOT NULL,
  facts jsonb NOT NULL,
  memory jsonb,
  online boolean NOT NULL DEFAULT false,
  last_heartbeat bigint,
  registered_at bigint NOT NULL,
  install_method text NOT NULL,
  drained_at bigint,
  sealing_key_ids jsonb,
  pools jsonb NOT NULL DEFAULT '[]'::jsonb,
  CONSTRAINT nodes_key_hash_unique UNIQUE (key_hash),
  CONSTRAINT nodes_pkey PRIMARY KEY (id)
);

CREATE TABLE original_agents (
  name text NOT NULL,
  url text NOT NULL,
  status text NOT NULL,
  capabilities jsonb NOT NULL,
  ip_addrs jsonb NOT NULL,
  agent_version text NOT NULL,
  os_info text NOT NULL,
  install_method text NOT NULL,
  last_seen bigint,
  registered_at bigint NOT NULL,
  CONSTRAINT original_agents_pkey PRIMARY KEY (name)
);

CREATE TABLE original_nodes (
  cid text NOT NULL,
  node_id text NOT NULL,
  project_id text NOT NULL,
  obs_count integer NOT NULL,
  db_sha text NOT NULL,
  ip_addrs jsonb NOT NULL,
  last_seen bigint NOT NULL,
  registered_at bigint NOT NULL,
  CONSTRAINT original_nodes_cid_node_id_pk PRIMARY KEY (cid, node_id)
);

CREATE TABLE project_node_status (
  id text NOT NULL,
  project_id text NOT NULL,
  node_id text NOT NULL,
  clone_status text NOT NULL,
  detail text NOT NULL DEFAULT ''::text,
  progress jsonb,
  error_code text,
  error_message text,
  repo_path text,
  commit text,
  branch text,
  size_bytes bigint,
  behind integer,
  ahead integer,
  dirty integer,
  checked_at bigint,
  last_sync_at bigint,
  updated_at bigint NOT NULL,
  workflow_id text NOT NULL,
  run_id text NOT NULL,
  CONSTRAINT project_node_status_pkey PRIMARY KEY (id),
  CONSTRAINT project_node_status_project_id_managed_projects_id_fk FOREIGN KEY (project_id) REFERENCES managed_projects(id) ON DELETE CASCADE,
  CONSTRAINT project_node_status_project_node UNIQUE (project_id, node_id)
);
CREATE INDEX project_node_status_node ON public.project_node_status USING btree (node_id);
CREATE INDEX project_node_status_open ON public.project_node_status USING btree (clone_status);

CREATE TABLE proposal_previews (
  proposal_id text NOT NULL,
  error_code text,
  detail text NOT NULL DEFAULT ''::text,
  branch text,
  base text,
  tree text,
  files jsonb NOT NULL,
  packed_diff text,
  node_id text,
  made_at bigint NOT NULL,
  CONSTRAINT proposal_previews_pkey PRIMARY KEY (proposal_id),
  CONSTRAINT proposal_previews_proposal_id_proposals_id_fk FOREIGN KEY (proposal_id) REFERENCES proposals(id) ON DELETE CASCADE
);

CREATE TABLE proposals (
  id text NOT NULL,
  task_id text NOT NULL,
  artifact_id text NOT NULL,
  project_id text NOT NULL,
  worker_id text NOT NULL,
  agent_slug text NOT NULL,
  title text NOT NULL,
  kind text NOT NULL,
  path text,
  expected_version text,
  status text NOT NULL,
  detail text NOT NULL DEFAULT ''::text,
  error_code text,
  decided_by text,
  decided_at bigint,
  commit text,
  node_id text,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  workflow_id text NOT NULL,
  run_id text NOT NULL,
  approved_tree text,
  approved_base text,
  CONSTRAINT proposals_pkey PRIMARY KEY (id)
);
CREATE INDEX proposals_created ON public.proposals USING btree (created_at DESC, id DESC);
CREATE INDEX proposals_project ON public.proposals USING btree (project_id, created_at DESC);
CREATE INDEX proposals_status ON public.proposals USING btree (status, created_at DESC);

CREATE TABLE retired_keys (
  key_id text NOT NULL,
  node_id text NOT NULL,
  until bigint NOT NULL,
  CONSTRAINT retired_keys_pkey PRIMARY KEY (key_id)
);

CREATE TABLE runtime_artifacts (
  id text NOT NULL,
  task_id text NOT NULL,
  job_id text NOT NULL,
  type text NOT NULL,
  name text NOT NULL,
  media_type text NOT NULL,
  sha256 text NOT NULL,
  bytes bigint NOT NULL,
  finalized boolean NOT NULL,
  entity_refs jsonb NOT NULL,
  tags jsonb NOT NULL,
  created_at bigint NOT NULL,
  expired_at bigint,
  bytes_removed_at bigint,
  CONSTRAINT runtime_artifacts_pkey PRIMARY KEY (id)
);
CREATE INDEX runtime_artifacts_created ON public.runtime_artifacts USING btree (created_at DESC, id DESC);
CREATE INDEX runtime_artifacts_sha256 ON public.runtime_artifacts USING btree (sha256);
CREATE INDEX runtime_artifacts_task ON public.runtime_artifacts USING btree (task_id);
CREATE INDEX runtime_artifacts_to_remove ON public.runtime_artifacts USING btree (sha256) WHERE ((expired_at IS NOT NULL) AND (bytes_removed_at IS NULL));

CREATE TABLE settings (
  key text NOT NULL,
  value text NOT NULL,
  CONSTRAINT settings_pkey PRIMARY KEY (key)
);

CREATE TABLE space_node_settings (
  cid text NOT NULL,
  node_id text NOT NULL,
  names jsonb NOT NULL,
  trust jsonb NOT NULL,
  CONSTRAINT space_node_settings_cid_node_id_pk PRIMARY KEY (cid, node_id)
);
CREATE INDEX space_node_settings_node ON public.space_node_settings USING btree (node_id);

CREATE TABLE space_nodes (
  cid text NOT NULL,
  node_id text NOT NULL,
  last_push_at bigint,
  last_pull_at bigint,
  head_epoch text,
  head_seq bigint NOT NULL DEFAULT 0,
  rows_sent bigint NOT NULL DEFAULT 0,
  rows_received bigint NOT NULL DEFAULT 0,
  bytes_up bigint NOT NULL DEFAULT 0,
  bytes_down bigint NOT NULL DEFAULT 0,
  status text NOT NULL,
  detail text NOT NULL DEFAULT ''::text,
  CONSTRAINT space_nodes_cid_node_id_pk PRIMARY KEY (cid, node_id)
);
CREATE INDEX space_nodes_node ON public.space_nodes USING btree (node_id);

CREATE TABLE spaces (
  cid text NOT NULL,
  name text NOT NULL,
  projects jsonb NOT NULL,
  created_at bigint NOT NULL,
  source text NOT NULL,
  excluded jsonb NOT NULL DEFAULT '[]'::jsonb,
  aliases jsonb NOT NULL DEFAULT '[]'::jsonb,
  redact boolean NOT NULL DEFAULT true,
  encrypted boolean NOT NULL DEFAULT false,
  mirror boolean NOT NULL DEFAULT false,
  encrypted_since bigint,
  CONSTRAINT spaces_name_unique UNIQUE (name),
  CONSTRAINT spaces_pkey PRIMARY KEY (cid)
);

CREATE TABLE task_output (
  task_id text NOT NULL,
  epoch integer NOT NULL,
  seq integer NOT NULL,
  stream text NOT NULL,
  at bigint NOT NULL,
  text text NOT NULL,
  CONSTRAINT task_output_task_id_epoch_seq_pk PRIMARY KEY (task_id, epoch, seq)
);
CREATE INDEX task_output_at ON public.task_output USING btree (at);

CREATE TABLE task_schedules (
  id text NOT NULL,
  name text NOT NULL,
  cron text NOT NULL,
  paused boolean NOT NULL,
  task jsonb NOT NULL,
  last_task_id text,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  CONSTRAINT task_schedules_name_unique UNIQUE (name),
  CONSTRAINT task_schedules_pkey PRIMARY KEY (id)
);

CREATE TABLE task_texts (
  task_id text NOT NULL,
  text text NOT NULL,
  CONSTRAINT task_texts_pkey PRIMARY KEY (task_id),
  CONSTRAINT task_texts_task_id_llm_tasks_id_fk FOREIGN KEY (task_id) REFERENCES llm_tasks(id) ON DELETE CASCADE
);
CREATE INDEX task_texts_trigrams ON public.task_texts USING gin (text gin_trgm_ops);
