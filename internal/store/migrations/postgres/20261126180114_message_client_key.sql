-- +goose Up
-- modify "messages" table
ALTER TABLE "messages" ADD COLUMN "client_key" character varying NULL;

