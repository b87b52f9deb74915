ALTER TABLE "authorization_requests" ADD COLUMN "reconnect_account_id" text;--> statement-breakpoint
ALTER TABLE "connect_sessions" ADD COLUMN "browser_hash" text;