-- +goose Up
-- create "conversation_deletions" table
CREATE TABLE `conversation_deletions` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `conversation_id` text NOT NULL, `deleted_at` datetime NOT NULL, `user_id` text NOT NULL, CONSTRAINT `conversation_deletions_users_conversation_deletions` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- create index "conversationdeletion_user_id_id" to table: "conversation_deletions"
CREATE INDEX `conversationdeletion_user_id_id` ON `conversation_deletions` (`user_id`, `id`);
-- create index "conversationdeletion_deleted_at" to table: "conversation_deletions"
CREATE INDEX `conversationdeletion_deleted_at` ON `conversation_deletions` (`deleted_at`);

