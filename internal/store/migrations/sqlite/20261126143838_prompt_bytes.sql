-- +goose Up
-- add column "prompt_bytes" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `prompt_bytes` integer NULL;

