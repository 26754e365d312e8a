-- +goose Up
-- parley:lives-with 20261126213648
-- modify "auth_sessions" table
ALTER TABLE "auth_sessions" ADD COLUMN "received" bigint NULL;

