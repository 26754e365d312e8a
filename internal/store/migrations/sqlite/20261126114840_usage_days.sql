-- +goose Up
-- create "usage_days" table
CREATE TABLE `usage_days` (`id` text NOT NULL, `user_id` text NOT NULL, `day` text NOT NULL, `model` text NOT NULL, `purpose` text NOT NULL, `currency` text NOT NULL DEFAULT (''), `calls` integer NOT NULL DEFAULT (0), `prompt_tokens` integer NOT NULL DEFAULT (0), `completion_tokens` integer NOT NULL DEFAULT (0), `cached_tokens` integer NOT NULL DEFAULT (0), `reasoning_tokens` integer NOT NULL DEFAULT (0), `micros` integer NOT NULL DEFAULT (0), `estimated_calls` integer NOT NULL DEFAULT (0), PRIMARY KEY (`id`));
-- create index "usageday_user_id_day_model_purpose_currency" to table: "usage_days"
CREATE UNIQUE INDEX `usageday_user_id_day_model_purpose_currency` ON `usage_days` (`user_id`, `day`, `model`, `purpose`, `currency`);
-- create index "usageday_day" to table: "usage_days"
CREATE INDEX `usageday_day` ON `usage_days` (`day`);
-- what has been used so far, by the messages that are left; and, for the last day on
-- which a user deleted replies, their tokens, of which only the sum is known
INSERT INTO `usage_days` (`id`, `user_id`, `day`, `model`, `purpose`, `calls`, `prompt_tokens`, `completion_tokens`, `cached_tokens`, `reasoning_tokens`, `estimated_calls`)
SELECT 'uda_' || lower(hex(randomblob(16))), `user_id`, `day`, `model`, 'REPLY', sum(`calls`), sum(`prompt`), sum(`completion`), sum(`cached`), sum(`reasoning`), sum(`estimated`)
FROM (
  SELECT `user_id`, strftime('%Y-%m-%d', `created_at` / 1000000, 'unixepoch') AS `day`, coalesce(`model`, '') AS `model`, 1 AS `calls`, coalesce(`prompt_tokens`, 0) AS `prompt`, coalesce(`completion_tokens`, 0) AS `completion`, coalesce(`cached_tokens`, 0) AS `cached`, coalesce(`reasoning_tokens`, 0) AS `reasoning`, CASE WHEN `usage_estimated` THEN 1 ELSE 0 END AS `estimated`
  FROM `messages` WHERE `role` = 'ASSISTANT' AND (`prompt_tokens` IS NOT NULL OR `completion_tokens` IS NOT NULL)
  UNION ALL
  SELECT `id`, strftime('%Y-%m-%d', `spent_on` / 1000000, 'unixepoch'), '', 0, `spent_tokens`, 0, 0, 0, 0
  FROM `users` WHERE `spent_tokens` > 0 AND `spent_on` IS NOT NULL
) AS `used`
GROUP BY `user_id`, `day`, `model`;
