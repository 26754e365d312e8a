-- +goose Up
-- parley:lives-with 20261126180718
-- add column "context_settings" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `context_settings` text NOT NULL DEFAULT '';
-- add column "title_tries" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `title_tries` integer NOT NULL DEFAULT 0;
-- add column "context_policy" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `context_policy` text NULL;
-- add column "context_from_index" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `context_from_index` integer NULL;
-- add column "context_count" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `context_count` integer NULL;
-- add column "context_dropped" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `context_dropped` integer NULL;
-- add column "context_limit" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `context_limit` integer NULL;
-- add column "context_summary_id" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `context_summary_id` text NULL;
-- add column "cut_by_server" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `cut_by_server` bool NOT NULL DEFAULT false;
-- add column "dropped_parameters" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `dropped_parameters` text NOT NULL DEFAULT '';
-- add column "omitted_output" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `omitted_output` text NOT NULL DEFAULT '';
-- add column "citations" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `citations` text NOT NULL DEFAULT '';
-- add column "cache_write_tokens" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `cache_write_tokens` integer NULL;
-- add column "reasoning_ms" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `reasoning_ms` integer NULL;
-- add column "first_token_ms" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `first_token_ms` integer NULL;
-- create "summaries" table
CREATE TABLE `summaries` (`id` text NOT NULL, `content` text NOT NULL, `model` text NOT NULL, `created_at` datetime NOT NULL, `conversation_id` text NOT NULL, `message_id` text NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `summaries_conversations_summaries` FOREIGN KEY (`conversation_id`) REFERENCES `conversations` (`id`) ON DELETE CASCADE, CONSTRAINT `summaries_messages_summary` FOREIGN KEY (`message_id`) REFERENCES `messages` (`id`) ON DELETE CASCADE, CONSTRAINT `summaries_users_summaries` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- create index "summaries_message_id_key" to table: "summaries"
CREATE UNIQUE INDEX `summaries_message_id_key` ON `summaries` (`message_id`);
-- create index "summary_conversation_id_message_id" to table: "summaries"
CREATE INDEX `summary_conversation_id_message_id` ON `summaries` (`conversation_id`, `message_id`);
-- create index "summary_user_id" to table: "summaries"
CREATE INDEX `summary_user_id` ON `summaries` (`user_id`);
