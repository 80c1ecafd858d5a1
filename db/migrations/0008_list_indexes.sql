CREATE TABLE "task_texts" (
	"task_id" text PRIMARY KEY NOT NULL,
	"text" text NOT NULL
);
--> statement-breakpoint
DROP INDEX "jobs_created_at";--> statement-breakpoint
DROP INDEX "jobs_project";--> statement-breakpoint
DROP INDEX "jobs_agent";--> statement-breakpoint
DROP INDEX "llm_tasks_context";--> statement-breakpoint
DROP INDEX "llm_tasks_project";--> statement-breakpoint
DROP INDEX "leases_status";--> statement-breakpoint
DROP INDEX "leases_started";--> statement-breakpoint
DROP INDEX "leases_context";--> statement-breakpoint
DROP INDEX "llm_results_context";--> statement-breakpoint
DROP INDEX "llm_results_project";--> statement-breakpoint
DROP INDEX "llm_results_completed";--> statement-breakpoint
DROP INDEX "llm_tasks_created_at";--> statement-breakpoint
DROP INDEX "llm_tasks_status";--> statement-breakpoint
DROP INDEX "proposals_status";--> statement-breakpoint
DROP INDEX "proposals_created";--> statement-breakpoint
DROP INDEX "proposals_project";--> statement-breakpoint
DROP INDEX "runtime_artifacts_created";--> statement-breakpoint
ALTER TABLE "task_texts" ADD CONSTRAINT "task_texts_task_id_llm_tasks_id_fk" FOREIGN KEY ("task_id") REFERENCES "public"."llm_tasks"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "jobs_newest" ON "jobs" USING btree ("created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "jobs_of_project" ON "jobs" USING btree ("project","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "jobs_of_agent" ON "jobs" USING btree ("agent","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "jobs_of_both" ON "jobs" USING btree ("project","agent","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "jobs_finished_at" ON "jobs" USING btree ("finished_at");--> statement-breakpoint
CREATE INDEX "llm_tasks_of_context" ON "llm_tasks" USING btree ("context_id","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "llm_tasks_of_project" ON "llm_tasks" USING btree ("project_id","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "llm_tasks_finished_at" ON "llm_tasks" USING btree ("finished_at");--> statement-breakpoint
CREATE INDEX "llm_tasks_tags" ON "llm_tasks" USING gin ("tags" jsonb_path_ops);--> statement-breakpoint
CREATE INDEX "leases_status" ON "leases" USING btree ("status","started_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "leases_started" ON "leases" USING btree ("started_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "leases_context" ON "leases" USING btree ("context_id","started_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "llm_results_context" ON "llm_results" USING btree ("context_id","completed_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "llm_results_project" ON "llm_results" USING btree ("project_id","completed_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "llm_results_completed" ON "llm_results" USING btree ("completed_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "llm_tasks_created_at" ON "llm_tasks" USING btree ("created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "llm_tasks_status" ON "llm_tasks" USING btree ("status","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "proposals_status" ON "proposals" USING btree ("status","created_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "proposals_created" ON "proposals" USING btree ("created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "proposals_project" ON "proposals" USING btree ("project_id","created_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "runtime_artifacts_created" ON "runtime_artifacts" USING btree ("created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
INSERT INTO "task_texts" ("task_id", "text")
SELECT "id", concat_ws(chr(1), "prompt", "id", "context_id", "agent_slug") FROM "llm_tasks";--> statement-breakpoint
CREATE FUNCTION "write_task_text"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO "task_texts" ("task_id", "text")
	VALUES (NEW."id", concat_ws(chr(1), NEW."prompt", NEW."id", NEW."context_id", NEW."agent_slug"));
	RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "llm_tasks_text" AFTER INSERT ON "llm_tasks" FOR EACH ROW EXECUTE FUNCTION "write_task_text"();--> statement-breakpoint
-- A trusted extension of PostgreSQL itself; a server that lacks it, or an owner that may not make it, searches without the index.
DO $$
BEGIN
	CREATE EXTENSION IF NOT EXISTS "pg_trgm";
	CREATE INDEX "task_texts_trigrams" ON "task_texts" USING gin ("text" gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING 'tasks are searched without an index: %', SQLERRM;
END
$$;
