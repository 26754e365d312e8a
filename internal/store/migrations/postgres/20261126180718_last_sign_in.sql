-- +goose Up
-- parley:lives-with 20261126163427
-- modify "users" table
ALTER TABLE "users" ADD COLUMN "last_sign_in_at" timestamptz NULL;

-- when a user last signed in, as far as the sessions that are left say
UPDATE "users" SET "last_sign_in_at" = (SELECT max("created_at") FROM "auth_sessions" WHERE "auth_sessions"."user_id" = "users"."id");
