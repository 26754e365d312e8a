-- +goose Up
-- parley:lives-with 20261126180718
-- modify "conversations" table
ALTER TABLE "conversations" ADD COLUMN "context_settings" text NOT NULL DEFAULT '', ADD COLUMN "title_tries" bigint NOT NULL DEFAULT 0;
-- modify "messages" table
ALTER TABLE "messages" ADD COLUMN "context_policy" character varying NULL, ADD COLUMN "context_from_index" bigint NULL, ADD COLUMN "context_count" bigint NULL, ADD COLUMN "context_dropped" bigint NULL, ADD COLUMN "context_limit" bigint NULL, ADD COLUMN "context_summary_id" character varying NULL, ADD COLUMN "cut_by_server" boolean NOT NULL DEFAULT false, ADD COLUMN "dropped_parameters" text NOT NULL DEFAULT '', ADD COLUMN "omitted_output" text NOT NULL DEFAULT '', ADD COLUMN "citations" text NOT NULL DEFAULT '', ADD COLUMN "cache_write_tokens" bigint NULL, ADD COLUMN "reasoning_ms" bigint NULL, ADD COLUMN "first_token_ms" bigint NULL;
-- create "summaries" table
CREATE TABLE "summaries" ("id" character varying NOT NULL, "content" text NOT NULL, "model" character varying NOT NULL, "created_at" timestamptz NOT NULL, "conversation_id" character varying NOT NULL, "message_id" character varying NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "summaries_conversations_summaries" FOREIGN KEY ("conversation_id") REFERENCES "conversations" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "summaries_messages_summary" FOREIGN KEY ("message_id") REFERENCES "messages" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "summaries_users_summaries" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- create index "summaries_message_id_key" to table: "summaries"
CREATE UNIQUE INDEX "summaries_message_id_key" ON "summaries" ("message_id");
-- create index "summary_conversation_id_message_id" to table: "summaries"
CREATE INDEX "summary_conversation_id_message_id" ON "summaries" ("conversation_id", "message_id");
-- create index "summary_user_id" to table: "summaries"
CREATE INDEX "summary_user_id" ON "summaries" ("user_id");

