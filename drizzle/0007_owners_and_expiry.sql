DROP INDEX "accounts_profile_due";--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "attestation_source" text DEFAULT 'self_attested' NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars" ADD COLUMN "source" text;--> statement-breakpoint
ALTER TABLE "revocations" ADD COLUMN "owner_id" text;--> statement-breakpoint
CREATE INDEX "accounts_expiry_announced" ON "accounts" USING btree ("id") WHERE expiry_announced_days is not null;--> statement-breakpoint
CREATE INDEX "revocations_owner" ON "revocations" USING btree ("owner_id") WHERE owner_id is not null;--> statement-breakpoint
CREATE INDEX "token_sets_refresh_expiry" ON "token_sets" USING btree ("refresh_expires_at") WHERE due_at is not null;--> statement-breakpoint
CREATE INDEX "accounts_profile_due" ON "accounts" USING btree ("profile_due_at") WHERE profile_due_at is not null and status = 'active';