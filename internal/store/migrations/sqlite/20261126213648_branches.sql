-- +goose Up
-- parley:lives-with 20261126212505
-- add column "forked_from_id" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `forked_from_id` text NULL;
-- add column "revision" to table: "conversations"
ALTER TABLE `conversations` ADD COLUMN `revision` integer NOT NULL DEFAULT 0;
-- add column "activated_at" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `activated_at` datetime NULL;
-- add column "edited_at" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `edited_at` datetime NULL;
-- add column "continues_id" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `continues_id` text NULL;
-- add column "continued_bytes" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `continued_bytes` integer NOT NULL DEFAULT 0;
