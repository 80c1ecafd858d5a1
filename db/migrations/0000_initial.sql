CREATE TABLE "browser_sessions" (
	"id_hash" text PRIMARY KEY NOT NULL,
	"created_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "enrolment_tokens" (
	"token_hash" text PRIMARY KEY NOT NULL,
	"node_id" text,
	"created_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"used_at" bigint,
	"used_by" text
);
--> statement-breakpoint
CREATE TABLE "events" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"payload" jsonb NOT NULL,
	"at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" text PRIMARY KEY NOT NULL,
	"action" text NOT NULL,
	"trigger" text NOT NULL,
	"project" text NOT NULL,
	"canonical_id" text NOT NULL,
	"agent" text NOT NULL,
	"status" text NOT NULL,
	"detail" text NOT NULL,
	"error_code" text,
	"workflow_id" text NOT NULL,
	"run_id" text NOT NULL,
	"rows_sent" bigint DEFAULT 0 NOT NULL,
	"rows_inserted" bigint DEFAULT 0 NOT NULL,
	"rows_updated" bigint DEFAULT 0 NOT NULL,
	"bytes_up" bigint DEFAULT 0 NOT NULL,
	"bytes_down" bigint DEFAULT 0 NOT NULL,
	"requests" bigint DEFAULT 0 NOT NULL,
	"created_at" bigint NOT NULL,
	"finished_at" bigint,
	"ms" bigint
);
--> statement-breakpoint
CREATE TABLE "nodes" (
	"id" text PRIMARY KEY NOT NULL,
	"key_hash" text NOT NULL,
	"public_key" text NOT NULL,
	"facts" jsonb NOT NULL,
	"memory" jsonb,
	"online" boolean DEFAULT false NOT NULL,
	"last_heartbeat" bigint,
	"registered_at" bigint NOT NULL,
	"install_method" text NOT NULL,
	CONSTRAINT "nodes_key_hash_unique" UNIQUE("key_hash")
);
--> statement-breakpoint
CREATE TABLE "original_nodes" (
	"cid" text NOT NULL,
	"node_id" text NOT NULL,
	"project_id" text NOT NULL,
	"obs_count" integer NOT NULL,
	"db_sha" text NOT NULL,
	"ip_addrs" jsonb NOT NULL,
	"last_seen" bigint NOT NULL,
	"registered_at" bigint NOT NULL,
	CONSTRAINT "original_nodes_cid_node_id_pk" PRIMARY KEY("cid","node_id")
);
--> statement-breakpoint
CREATE TABLE "settings" (
	"key" text PRIMARY KEY NOT NULL,
	"value" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "space_nodes" (
	"cid" text NOT NULL,
	"node_id" text NOT NULL,
	"last_push_at" bigint,
	"last_pull_at" bigint,
	"head_epoch" text,
	"head_seq" bigint DEFAULT 0 NOT NULL,
	"rows_sent" bigint DEFAULT 0 NOT NULL,
	"rows_received" bigint DEFAULT 0 NOT NULL,
	"bytes_up" bigint DEFAULT 0 NOT NULL,
	"bytes_down" bigint DEFAULT 0 NOT NULL,
	"status" text NOT NULL,
	"detail" text DEFAULT '' NOT NULL,
	CONSTRAINT "space_nodes_cid_node_id_pk" PRIMARY KEY("cid","node_id")
);
--> statement-breakpoint
CREATE TABLE "spaces" (
	"cid" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"projects" jsonb NOT NULL,
	"created_at" bigint NOT NULL,
	"source" text NOT NULL,
	CONSTRAINT "spaces_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE INDEX "jobs_created_at" ON "jobs" USING btree ("created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "jobs_project" ON "jobs" USING btree ("project","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "jobs_agent" ON "jobs" USING btree ("agent","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "jobs_status" ON "jobs" USING btree ("status");--> statement-breakpoint
CREATE INDEX "space_nodes_node" ON "space_nodes" USING btree ("node_id");