CREATE TABLE "leadership_events" (
	"cid" text NOT NULL,
	"epoch" bigint NOT NULL,
	"event" text NOT NULL,
	"at" bigint NOT NULL,
	"primary_node_id" text,
	"by" text NOT NULL,
	CONSTRAINT "leadership_events_cid_epoch_event_pk" PRIMARY KEY("cid","epoch","event")
);
--> statement-breakpoint
CREATE TABLE "leaderships" (
	"cid" text PRIMARY KEY NOT NULL,
	"primary_node_id" text,
	"epoch" bigint NOT NULL,
	"issued_at" bigint,
	"expires_at" bigint,
	"lease_seconds" integer NOT NULL,
	"issued_by" text,
	"last_snapshot_at" bigint,
	"last_mirror_at" bigint,
	"last_error" text
);
--> statement-breakpoint
CREATE TABLE "managed_projects" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"repo_url" text NOT NULL,
	"canonical_id" text NOT NULL,
	"aliases" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"target_path" text,
	"branch" text,
	"depth" integer,
	"submodules" boolean DEFAULT false NOT NULL,
	"primary_node_id" text,
	"space" text,
	"tags" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"new_nodes_since" bigint,
	"known_hosts" text,
	"credential" text,
	"credential_info" jsonb,
	"memory_cron" text,
	"fetch_cron" text,
	"propagation" jsonb,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	CONSTRAINT "managed_projects_name_unique" UNIQUE("name"),
	CONSTRAINT "managed_projects_canonical_id_unique" UNIQUE("canonical_id")
);
--> statement-breakpoint
CREATE TABLE "project_node_status" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"node_id" text NOT NULL,
	"clone_status" text NOT NULL,
	"detail" text DEFAULT '' NOT NULL,
	"progress" jsonb,
	"error_code" text,
	"error_message" text,
	"repo_path" text,
	"commit" text,
	"branch" text,
	"size_bytes" bigint,
	"behind" integer,
	"ahead" integer,
	"dirty" integer,
	"checked_at" bigint,
	"last_sync_at" bigint,
	"updated_at" bigint NOT NULL,
	"workflow_id" text NOT NULL,
	"run_id" text NOT NULL,
	CONSTRAINT "project_node_status_project_node" UNIQUE("project_id","node_id")
);
--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "mirror" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "project_node_status" ADD CONSTRAINT "project_node_status_project_id_managed_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."managed_projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "project_node_status_open" ON "project_node_status" USING btree ("clone_status");--> statement-breakpoint
CREATE INDEX "project_node_status_node" ON "project_node_status" USING btree ("node_id");