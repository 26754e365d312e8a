-- +goose Up
-- parley:lives-with 20261126212505
-- modify "conversations" table
ALTER TABLE "conversations" ADD COLUMN "forked_from_id" character varying NULL, ADD COLUMN "revision" bigint NOT NULL DEFAULT 0;
-- modify "messages" table
ALTER TABLE "messages" ADD COLUMN "activated_at" timestamptz NULL, ADD COLUMN "edited_at" timestamptz NULL, ADD COLUMN "continues_id" character varying NULL, ADD COLUMN "continued_bytes" bigint NOT NULL DEFAULT 0;

