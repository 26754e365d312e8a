-- +goose Up
-- add column "client_key" to table: "messages"
ALTER TABLE `messages` ADD COLUMN `client_key` text NULL;

