ALTER TABLE "managed_projects" ADD COLUMN "update_cron" text;--> statement-breakpoint
ALTER TABLE "managed_projects" ADD COLUMN "push_secret" text;--> statement-breakpoint
ALTER TABLE "managed_projects" ADD COLUMN "push_secret_at" bigint;