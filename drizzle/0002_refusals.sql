ALTER TABLE "authorization_requests" ADD COLUMN "required_only" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "connect_sessions" ADD COLUMN "required_only" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "profiles" ADD COLUMN "refused_fields" text[];--> statement-breakpoint
ALTER TABLE "token_sets" ADD COLUMN "refused_generation" integer;