CREATE TABLE "original_agents" (
	"name" text PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"status" text NOT NULL,
	"capabilities" jsonb NOT NULL,
	"ip_addrs" jsonb NOT NULL,
	"agent_version" text NOT NULL,
	"os_info" text NOT NULL,
	"install_method" text NOT NULL,
	"last_seen" bigint,
	"registered_at" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "llm_results" ADD COLUMN "exit_code" integer;