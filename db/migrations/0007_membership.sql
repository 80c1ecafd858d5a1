CREATE TABLE "allowed_deletions" (
	"cid" text NOT NULL,
	"node_id" text NOT NULL,
	"until" bigint NOT NULL,
	CONSTRAINT "allowed_deletions_cid_node_id_pk" PRIMARY KEY("cid","node_id")
);
--> statement-breakpoint
CREATE TABLE "retired_keys" (
	"key_id" text PRIMARY KEY NOT NULL,
	"node_id" text NOT NULL,
	"until" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "nodes" ADD COLUMN "sealing_key_ids" jsonb;--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "encrypted_since" bigint;