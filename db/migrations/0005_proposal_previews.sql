CREATE TABLE "proposal_previews" (
	"proposal_id" text PRIMARY KEY NOT NULL,
	"error_code" text,
	"detail" text DEFAULT '' NOT NULL,
	"branch" text,
	"base" text,
	"tree" text,
	"files" jsonb NOT NULL,
	"packed_diff" text,
	"node_id" text,
	"made_at" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "proposals" ADD COLUMN "approved_tree" text;--> statement-breakpoint
ALTER TABLE "proposals" ADD COLUMN "approved_base" text;--> statement-breakpoint
ALTER TABLE "proposal_previews" ADD CONSTRAINT "proposal_previews_proposal_id_proposals_id_fk" FOREIGN KEY ("proposal_id") REFERENCES "public"."proposals"("id") ON DELETE cascade ON UPDATE no action;