CREATE TABLE "upload_gates" (
	"tiktok_user" "bytea" PRIMARY KEY NOT NULL,
	"closed_until" timestamp with time zone DEFAULT '-infinity' NOT NULL,
	"closed_by" text,
	"refusals" integer DEFAULT 0 NOT NULL,
	"refused_at" timestamp with time zone,
	"exhausted_until" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "uploads" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"tiktok_user" "bytea" NOT NULL,
	"idempotency_key" text NOT NULL,
	"ttl_seconds" integer NOT NULL,
	"reserved_by" text NOT NULL,
	"reserved_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"held_until" timestamp with time zone NOT NULL,
	"committed_at" timestamp with time zone,
	"late" boolean DEFAULT false NOT NULL,
	"publish_id" text,
	"released_at" timestamp with time zone,
	"tiktok_error" text
);
--> statement-breakpoint
CREATE UNIQUE INDEX "uploads_idempotency_key" ON "uploads" USING btree ("account_id","idempotency_key");--> statement-breakpoint
CREATE INDEX "uploads_held" ON "uploads" USING btree ("tiktok_user","held_until");--> statement-breakpoint
CREATE INDEX "uploads_purge" ON "uploads" USING brin ("reserved_at");