-- +goose Up
-- disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- create "new_replicas" table
CREATE TABLE `new_replicas` (`id` text NOT NULL, `address` text NOT NULL DEFAULT (''), `keys` text NOT NULL DEFAULT (''), `lease_expires_at` datetime NOT NULL, `created_at` datetime NOT NULL, PRIMARY KEY (`id`));
-- copy rows from old table "replicas" to new temporary table "new_replicas"
INSERT INTO `new_replicas` (`id`, `address`, `lease_expires_at`, `created_at`) SELECT `id`, `address`, `lease_expires_at`, `created_at` FROM `replicas`;
-- drop "replicas" table after copying rows
DROP TABLE `replicas`;
-- rename temporary table "new_replicas" to "replicas"
ALTER TABLE `new_replicas` RENAME TO `replicas`;
-- create index "replica_lease_expires_at" to table: "replicas"
CREATE INDEX `replica_lease_expires_at` ON `replicas` (`lease_expires_at`);
-- enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

