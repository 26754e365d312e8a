-- +goose Up
-- modify "messages" table
ALTER TABLE "messages" ADD COLUMN "prompt_bytes" bigint NULL;

