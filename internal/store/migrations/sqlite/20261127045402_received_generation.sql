-- +goose Up
-- parley:lives-with 20261126213648
-- add column "received" to table: "auth_sessions"
ALTER TABLE `auth_sessions` ADD COLUMN `received` integer NULL;

