-- +goose Up
-- create index "conversation_user_id_updated_at_id" to table: "conversations"
CREATE INDEX "conversation_user_id_updated_at_id" ON "conversations" ("user_id", "updated_at", "id");

