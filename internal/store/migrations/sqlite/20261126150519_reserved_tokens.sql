-- +goose Up
-- add column "reserved_tokens" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `reserved_tokens` integer NULL;

