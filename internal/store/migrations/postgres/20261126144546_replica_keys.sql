-- +goose Up
-- modify "replicas" table
ALTER TABLE "replicas" ADD COLUMN "keys" character varying NOT NULL DEFAULT '';

