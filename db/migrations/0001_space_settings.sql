CREATE TABLE "space_node_settings" (
	"cid" text NOT NULL,
	"node_id" text NOT NULL,
	"names" jsonb NOT NULL,
	"trust" jsonb NOT NULL,
	CONSTRAINT "space_node_settings_cid_node_id_pk" PRIMARY KEY("cid","node_id")
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "rows_deleted" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "excluded" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "aliases" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "redact" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "spaces" ADD COLUMN "encrypted" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "space_node_settings_node" ON "space_node_settings" USING btree ("node_id");