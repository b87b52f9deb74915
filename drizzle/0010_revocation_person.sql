ALTER TABLE "revocations" ADD COLUMN "tiktok_user" "bytea";--> statement-breakpoint
CREATE INDEX "revocations_user" ON "revocations" USING btree ("tiktok_user");