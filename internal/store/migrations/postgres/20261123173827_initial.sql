-- +goose Up
-- create "auth_throttles" table
CREATE TABLE "auth_throttles" ("id" character varying NOT NULL, "level" double precision NOT NULL DEFAULT 0, "blocked_until" timestamptz NULL, "updated_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "auththrottle_updated_at" to table: "auth_throttles"
CREATE INDEX "auththrottle_updated_at" ON "auth_throttles" ("updated_at");
-- create "replicas" table
CREATE TABLE "replicas" ("id" character varying NOT NULL, "address" character varying NOT NULL DEFAULT '', "lease_expires_at" timestamptz NOT NULL, "created_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "replica_lease_expires_at" to table: "replicas"
CREATE INDEX "replica_lease_expires_at" ON "replicas" ("lease_expires_at");
-- create "users" table
CREATE TABLE "users" ("id" character varying NOT NULL, "email" character varying NULL, "name" character varying NOT NULL DEFAULT '', "password_hash" character varying NULL, "password_changed_at" timestamptz NULL, "issuer" character varying NULL, "subject" character varying NULL, "external_email" character varying NULL, "disabled_at" timestamptz NULL, "spent_tokens" bigint NOT NULL DEFAULT 0, "spent_on" timestamptz NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "user_email" to table: "users"
CREATE UNIQUE INDEX "user_email" ON "users" ("email");
-- create index "user_issuer_subject" to table: "users"
CREATE UNIQUE INDEX "user_issuer_subject" ON "users" ("issuer", "subject");
-- create "auth_sessions" table
CREATE TABLE "auth_sessions" ("id" character varying NOT NULL, "generation" bigint NOT NULL DEFAULT 0, "token_hash" character varying NOT NULL, "previous_hash" character varying NULL, "key_id" character varying NOT NULL, "rotated_at" timestamptz NOT NULL, "expires_at" timestamptz NOT NULL, "idle_expires_at" timestamptz NOT NULL, "revoked_at" timestamptz NULL, "revoked_reason" character varying NULL, "created_at" timestamptz NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "auth_sessions_users_auth_sessions" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- create index "authsession_expires_at" to table: "auth_sessions"
CREATE INDEX "authsession_expires_at" ON "auth_sessions" ("expires_at");
-- create index "authsession_user_id_created_at_id" to table: "auth_sessions"
CREATE INDEX "authsession_user_id_created_at_id" ON "auth_sessions" ("user_id", "created_at", "id");
-- create "conversations" table
CREATE TABLE "conversations" ("id" character varying NOT NULL, "name" character varying NOT NULL DEFAULT '', "name_source" character varying NOT NULL DEFAULT 'PLACEHOLDER', "model" character varying NULL, "parameters" text NOT NULL DEFAULT '', "head_id" character varying NOT NULL, "pinned" boolean NOT NULL DEFAULT false, "archived_at" timestamptz NULL, "temporary" boolean NOT NULL DEFAULT false, "expires_at" timestamptz NULL, "last_message_at" timestamptz NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "conversations_users_conversations" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- create index "conversation_expires_at" to table: "conversations"
CREATE INDEX "conversation_expires_at" ON "conversations" ("expires_at") WHERE (expires_at IS NOT NULL);
-- create index "conversation_user_id_last_message_at_id" to table: "conversations"
CREATE INDEX "conversation_user_id_last_message_at_id" ON "conversations" ("user_id", "last_message_at", "id");
-- create "messages" table
CREATE TABLE "messages" ("id" character varying NOT NULL, "index" bigint NOT NULL, "active" boolean NOT NULL DEFAULT true, "role" character varying NOT NULL, "content" text NOT NULL DEFAULT '', "reasoning" text NOT NULL DEFAULT '', "status" character varying NOT NULL DEFAULT 'COMPLETED', "finish_reason" character varying NULL, "error_code" character varying NULL, "model" character varying NULL, "parameters" text NOT NULL DEFAULT '', "prompt_tokens" bigint NULL, "completion_tokens" bigint NULL, "cached_tokens" bigint NULL, "reasoning_tokens" bigint NULL, "usage_estimated" boolean NOT NULL DEFAULT false, "system_prompt_hash" character varying NULL, "owner" character varying NULL, "attempt" bigint NOT NULL DEFAULT 0, "crashes" bigint NOT NULL DEFAULT 0, "salvage" text NOT NULL DEFAULT '', "stop_requested_at" timestamptz NULL, "started_at" timestamptz NULL, "finished_at" timestamptz NULL, "created_at" timestamptz NOT NULL, "conversation_id" character varying NOT NULL, "parent_id" character varying NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "messages_conversations_messages" FOREIGN KEY ("conversation_id") REFERENCES "conversations" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "messages_messages_children" FOREIGN KEY ("parent_id") REFERENCES "messages" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "messages_users_messages" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- create index "message_conversation_id" to table: "messages"
CREATE INDEX "message_conversation_id" ON "messages" ("conversation_id");
-- create index "message_one_streaming" to table: "messages"
CREATE UNIQUE INDEX "message_one_streaming" ON "messages" ("conversation_id") WHERE ((status)::text = 'STREAMING'::text);
-- create index "message_parent_id" to table: "messages"
CREATE INDEX "message_parent_id" ON "messages" ("parent_id");
-- create index "message_running_by_owner" to table: "messages"
CREATE INDEX "message_running_by_owner" ON "messages" ("owner", "stop_requested_at") WHERE ((status)::text = 'STREAMING'::text);
-- create index "message_unfinished" to table: "messages"
CREATE INDEX "message_unfinished" ON "messages" ("conversation_id", "index", "id") WHERE (((status)::text = 'QUEUED'::text) OR ((status)::text = 'STREAMING'::text));
-- create index "message_unfinished_by_user" to table: "messages"
CREATE INDEX "message_unfinished_by_user" ON "messages" ("user_id") WHERE (((status)::text = 'QUEUED'::text) OR ((status)::text = 'STREAMING'::text));
-- create index "message_usage_by_user" to table: "messages"
CREATE INDEX "message_usage_by_user" ON "messages" ("user_id", "created_at") WHERE ((role)::text = 'ASSISTANT'::text);
-- create index "message_visible_line" to table: "messages"
CREATE UNIQUE INDEX "message_visible_line" ON "messages" ("conversation_id", "index") WHERE active;
-- create "sends" table
CREATE TABLE "sends" ("id" character varying NOT NULL, "client_key" character varying NULL, "payload_hash" character varying NOT NULL, "conversation_id" character varying NOT NULL, "user_message_id" character varying NOT NULL, "reply_id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "sends_users_sends" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- create index "send_user_id_client_key" to table: "sends"
CREATE UNIQUE INDEX "send_user_id_client_key" ON "sends" ("user_id", "client_key");
-- create index "send_user_id_created_at" to table: "sends"
CREATE INDEX "send_user_id_created_at" ON "sends" ("user_id", "created_at");

