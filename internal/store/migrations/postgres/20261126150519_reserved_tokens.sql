-- +goose Up
-- modify "messages" table
ALTER TABLE "messages" ADD COLUMN "reserved_tokens" bigint NULL;

