CREATE TABLE "audit_logs" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"event_key" text NOT NULL,
	"timestamp" bigint NOT NULL,
	"action" text NOT NULL,
	"entity_type" text NOT NULL,
	"entity_id" text NOT NULL,
	"actor" text NOT NULL,
	"detail" text NOT NULL,
	"cause" text NOT NULL,
	"correlation_id" text NOT NULL,
	CONSTRAINT "audit_logs_event_key_unique" UNIQUE("event_key")
);
--> statement-breakpoint
CREATE TABLE "leases" (
	"id" text PRIMARY KEY NOT NULL,
	"task_id" text NOT NULL,
	"worker_id" text NOT NULL,
	"epoch" integer NOT NULL,
	"kind" text NOT NULL,
	"started_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"ttl_seconds" integer NOT NULL,
	"status" text NOT NULL,
	"last_heartbeat" bigint NOT NULL,
	"context_id" text NOT NULL,
	"ended_at" bigint,
	"end_reason" text
);
--> statement-breakpoint
CREATE TABLE "llm_results" (
	"id" text PRIMARY KEY NOT NULL,
	"task_id" text NOT NULL,
	"lease_id" text NOT NULL,
	"worker_id" text NOT NULL,
	"artifact_id" text,
	"status" text NOT NULL,
	"error_code" text,
	"error_message" text,
	"duration_ms" double precision NOT NULL,
	"usage" jsonb NOT NULL,
	"cost_usd" double precision DEFAULT 0 NOT NULL,
	"tokens" integer DEFAULT 0 NOT NULL,
	"context_id" text NOT NULL,
	"project_id" text,
	"notes" jsonb NOT NULL,
	"completed_at" bigint NOT NULL,
	CONSTRAINT "llm_results_lease_id_unique" UNIQUE("lease_id")
);
--> statement-breakpoint
CREATE TABLE "llm_tasks" (
	"id" text PRIMARY KEY NOT NULL,
	"context_id" text NOT NULL,
	"agent_slug" text NOT NULL,
	"prompt" text NOT NULL,
	"context_hints" jsonb NOT NULL,
	"policy" jsonb NOT NULL,
	"desired_format" text NOT NULL,
	"status" text NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"finished_at" bigint,
	"lease_id" text,
	"worker_id" text,
	"attempts" integer NOT NULL,
	"max_attempts" integer NOT NULL,
	"seq" integer NOT NULL,
	"epoch" integer NOT NULL,
	"dispatched" boolean NOT NULL,
	"pool" text NOT NULL,
	"requested_worker_id" text,
	"project_id" text,
	"priority" integer NOT NULL,
	"fairness_key" text NOT NULL,
	"not_before" bigint,
	"depends_on" jsonb NOT NULL,
	"lease_ttl_seconds" integer NOT NULL,
	"artifact_type" text NOT NULL,
	"tags" jsonb NOT NULL,
	"webhook_url" text,
	"schedule_id" text,
	"created_by" text NOT NULL,
	"request_hash" text NOT NULL,
	"detail" text NOT NULL,
	"error_code" text,
	"error_message" text,
	"cancel_requested_at" bigint,
	"workflow_id" text NOT NULL,
	"run_id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "proposals" (
	"id" text PRIMARY KEY NOT NULL,
	"task_id" text NOT NULL,
	"artifact_id" text NOT NULL,
	"project_id" text NOT NULL,
	"worker_id" text NOT NULL,
	"agent_slug" text NOT NULL,
	"title" text NOT NULL,
	"kind" text NOT NULL,
	"path" text,
	"expected_version" text,
	"status" text NOT NULL,
	"detail" text DEFAULT '' NOT NULL,
	"error_code" text,
	"decided_by" text,
	"decided_at" bigint,
	"commit" text,
	"node_id" text,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"workflow_id" text NOT NULL,
	"run_id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "runtime_artifacts" (
	"id" text PRIMARY KEY NOT NULL,
	"task_id" text NOT NULL,
	"job_id" text NOT NULL,
	"type" text NOT NULL,
	"name" text NOT NULL,
	"media_type" text NOT NULL,
	"sha256" text NOT NULL,
	"bytes" bigint NOT NULL,
	"finalized" boolean NOT NULL,
	"entity_refs" jsonb NOT NULL,
	"tags" jsonb NOT NULL,
	"created_at" bigint NOT NULL,
	"expired_at" bigint
);
--> statement-breakpoint
CREATE TABLE "task_output" (
	"task_id" text NOT NULL,
	"epoch" integer NOT NULL,
	"seq" integer NOT NULL,
	"stream" text NOT NULL,
	"at" bigint NOT NULL,
	"text" text NOT NULL,
	CONSTRAINT "task_output_task_id_epoch_seq_pk" PRIMARY KEY("task_id","epoch","seq")
);
--> statement-breakpoint
CREATE TABLE "task_schedules" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"cron" text NOT NULL,
	"paused" boolean NOT NULL,
	"task" jsonb NOT NULL,
	"last_task_id" text,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	CONSTRAINT "task_schedules_name_unique" UNIQUE("name")
);
--> statement-breakpoint
ALTER TABLE "nodes" ADD COLUMN "drained_at" bigint;--> statement-breakpoint
CREATE INDEX "audit_logs_entity" ON "audit_logs" USING btree ("entity_type","entity_id","id");--> statement-breakpoint
CREATE INDEX "audit_logs_correlation" ON "audit_logs" USING btree ("correlation_id","id");--> statement-breakpoint
CREATE INDEX "audit_logs_action" ON "audit_logs" USING btree ("action","id");--> statement-breakpoint
CREATE INDEX "audit_logs_actor" ON "audit_logs" USING btree ("actor","id");--> statement-breakpoint
CREATE INDEX "leases_task" ON "leases" USING btree ("task_id","epoch");--> statement-breakpoint
CREATE INDEX "leases_status" ON "leases" USING btree ("status","started_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "leases_started" ON "leases" USING btree ("started_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "leases_worker" ON "leases" USING btree ("worker_id","status");--> statement-breakpoint
CREATE INDEX "leases_context" ON "leases" USING btree ("context_id","started_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_results_task" ON "llm_results" USING btree ("task_id");--> statement-breakpoint
CREATE INDEX "llm_results_context" ON "llm_results" USING btree ("context_id","completed_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_results_project" ON "llm_results" USING btree ("project_id","completed_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_results_completed" ON "llm_results" USING btree ("completed_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_tasks_created_at" ON "llm_tasks" USING btree ("created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_tasks_status" ON "llm_tasks" USING btree ("status","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_tasks_context" ON "llm_tasks" USING btree ("context_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_tasks_waiting" ON "llm_tasks" USING btree ("status","pool","priority","created_at","id");--> statement-breakpoint
CREATE INDEX "llm_tasks_project" ON "llm_tasks" USING btree ("project_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "llm_tasks_depends_on" ON "llm_tasks" USING gin ("depends_on");--> statement-breakpoint
CREATE INDEX "proposals_status" ON "proposals" USING btree ("status","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "proposals_created" ON "proposals" USING btree ("created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "proposals_project" ON "proposals" USING btree ("project_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "runtime_artifacts_task" ON "runtime_artifacts" USING btree ("task_id");--> statement-breakpoint
CREATE INDEX "runtime_artifacts_created" ON "runtime_artifacts" USING btree ("created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "runtime_artifacts_sha256" ON "runtime_artifacts" USING btree ("sha256");--> statement-breakpoint
CREATE INDEX "task_output_at" ON "task_output" USING btree ("at");--> statement-breakpoint
CREATE FUNCTION "refuse_audit_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
--> statement-breakpoint
CREATE TRIGGER "audit_logs_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_logs" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_audit_change"();
