ALTER TABLE "enrolment_tokens" ADD COLUMN "pools" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "nodes" ADD COLUMN "pools" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
UPDATE "nodes" SET "pools" = coalesce("facts"->'capabilities'->'labels', '[]'::jsonb);
