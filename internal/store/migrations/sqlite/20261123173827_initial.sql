-- +goose Up
-- create "auth_sessions" table
CREATE TABLE `auth_sessions` (`id` text NOT NULL, `generation` integer NOT NULL DEFAULT (0), `token_hash` text NOT NULL, `previous_hash` text NULL, `key_id` text NOT NULL, `rotated_at` datetime NOT NULL, `expires_at` datetime NOT NULL, `idle_expires_at` datetime NOT NULL, `revoked_at` datetime NULL, `revoked_reason` text NULL, `created_at` datetime NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `auth_sessions_users_auth_sessions` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- create index "authsession_user_id_created_at_id" to table: "auth_sessions"
CREATE INDEX `authsession_user_id_created_at_id` ON `auth_sessions` (`user_id`, `created_at`, `id`);
-- create index "authsession_expires_at" to table: "auth_sessions"
CREATE INDEX `authsession_expires_at` ON `auth_sessions` (`expires_at`);
-- create "auth_throttles" table
CREATE TABLE `auth_throttles` (`id` text NOT NULL, `level` real NOT NULL DEFAULT (0), `blocked_until` datetime NULL, `updated_at` datetime NOT NULL, PRIMARY KEY (`id`));
-- create index "auththrottle_updated_at" to table: "auth_throttles"
CREATE INDEX `auththrottle_updated_at` ON `auth_throttles` (`updated_at`);
-- create "conversations" table
CREATE TABLE `conversations` (`id` text NOT NULL, `name` text NOT NULL DEFAULT (''), `name_source` text NOT NULL DEFAULT ('PLACEHOLDER'), `model` text NULL, `parameters` text NOT NULL DEFAULT (''), `head_id` text NOT NULL, `pinned` bool NOT NULL DEFAULT (false), `archived_at` datetime NULL, `temporary` bool NOT NULL DEFAULT (false), `expires_at` datetime NULL, `last_message_at` datetime NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `conversations_users_conversations` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- create index "conversation_user_id_last_message_at_id" to table: "conversations"
CREATE INDEX `conversation_user_id_last_message_at_id` ON `conversations` (`user_id`, `last_message_at`, `id`);
-- create index "conversation_expires_at" to table: "conversations"
CREATE INDEX `conversation_expires_at` ON `conversations` (`expires_at`) WHERE expires_at IS NOT NULL;
-- create "messages" table
CREATE TABLE `messages` (`id` text NOT NULL, `index` integer NOT NULL, `active` bool NOT NULL DEFAULT (true), `role` text NOT NULL, `content` text NOT NULL DEFAULT (''), `reasoning` text NOT NULL DEFAULT (''), `status` text NOT NULL DEFAULT ('COMPLETED'), `finish_reason` text NULL, `error_code` text NULL, `model` text NULL, `parameters` text NOT NULL DEFAULT (''), `prompt_tokens` integer NULL, `completion_tokens` integer NULL, `cached_tokens` integer NULL, `reasoning_tokens` integer NULL, `usage_estimated` bool NOT NULL DEFAULT (false), `system_prompt_hash` text NULL, `owner` text NULL, `attempt` integer NOT NULL DEFAULT (0), `crashes` integer NOT NULL DEFAULT (0), `salvage` text NOT NULL DEFAULT (''), `stop_requested_at` datetime NULL, `started_at` datetime NULL, `finished_at` datetime NULL, `created_at` datetime NOT NULL, `conversation_id` text NOT NULL, `parent_id` text NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `messages_conversations_messages` FOREIGN KEY (`conversation_id`) REFERENCES `conversations` (`id`) ON DELETE CASCADE, CONSTRAINT `messages_messages_children` FOREIGN KEY (`parent_id`) REFERENCES `messages` (`id`) ON DELETE NO ACTION, CONSTRAINT `messages_users_messages` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- create index "message_visible_line" to table: "messages"
CREATE UNIQUE INDEX `message_visible_line` ON `messages` (`conversation_id`, `index`) WHERE active;
-- create index "message_one_streaming" to table: "messages"
CREATE UNIQUE INDEX `message_one_streaming` ON `messages` (`conversation_id`) WHERE status = 'STREAMING';
-- create index "message_unfinished" to table: "messages"
CREATE INDEX `message_unfinished` ON `messages` (`conversation_id`, `index`, `id`) WHERE status = 'QUEUED' OR status = 'STREAMING';
-- create index "message_running_by_owner" to table: "messages"
CREATE INDEX `message_running_by_owner` ON `messages` (`owner`, `stop_requested_at`) WHERE status = 'STREAMING';
-- create index "message_unfinished_by_user" to table: "messages"
CREATE INDEX `message_unfinished_by_user` ON `messages` (`user_id`) WHERE status = 'QUEUED' OR status = 'STREAMING';
-- create index "message_usage_by_user" to table: "messages"
CREATE INDEX `message_usage_by_user` ON `messages` (`user_id`, `created_at`) WHERE role = 'ASSISTANT';
-- create index "message_parent_id" to table: "messages"
CREATE INDEX `message_parent_id` ON `messages` (`parent_id`);
-- create index "message_conversation_id" to table: "messages"
CREATE INDEX `message_conversation_id` ON `messages` (`conversation_id`);
-- create "replicas" table
CREATE TABLE `replicas` (`id` text NOT NULL, `address` text NOT NULL DEFAULT (''), `lease_expires_at` datetime NOT NULL, `created_at` datetime NOT NULL, PRIMARY KEY (`id`));
-- create index "replica_lease_expires_at" to table: "replicas"
CREATE INDEX `replica_lease_expires_at` ON `replicas` (`lease_expires_at`);
-- create "sends" table
CREATE TABLE `sends` (`id` text NOT NULL, `client_key` text NULL, `payload_hash` text NOT NULL, `conversation_id` text NOT NULL, `user_message_id` text NOT NULL, `reply_id` text NOT NULL, `created_at` datetime NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `sends_users_sends` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- create index "send_user_id_client_key" to table: "sends"
CREATE UNIQUE INDEX `send_user_id_client_key` ON `sends` (`user_id`, `client_key`);
-- create index "send_user_id_created_at" to table: "sends"
CREATE INDEX `send_user_id_created_at` ON `sends` (`user_id`, `created_at`);
-- create "users" table
CREATE TABLE `users` (`id` text NOT NULL, `email` text NULL, `name` text NOT NULL DEFAULT (''), `password_hash` text NULL, `password_changed_at` datetime NULL, `issuer` text NULL, `subject` text NULL, `external_email` text NULL, `disabled_at` datetime NULL, `spent_tokens` integer NOT NULL DEFAULT (0), `spent_on` datetime NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, PRIMARY KEY (`id`));
-- create index "user_email" to table: "users"
CREATE UNIQUE INDEX `user_email` ON `users` (`email`);
-- create index "user_issuer_subject" to table: "users"
CREATE UNIQUE INDEX `user_issuer_subject` ON `users` (`issuer`, `subject`);

