-- What drizzle-kit cannot say. The functions stand in src/db/functions, each with its present definition.

-- Takes what comes before its day's partition was made: a missing partition must never stop a token or a change.
CREATE TABLE "token_reads_default" PARTITION OF "token_reads" DEFAULT;
--> statement-breakpoint
CREATE TABLE "timeline_default" PARTITION OF "timeline" DEFAULT;
--> statement-breakpoint
CREATE TYPE "upload_quota" AS (
	"used" integer,
	"reserved" integer,
	"remaining" integer,
	"free_at" timestamptz, -- when as many slots as were asked for are free; null: never
	"closed_until" timestamptz, -- by TikTok's own refusal; null: open
	"closed_by" text
);
--> statement-breakpoint
-- What became of a change, the window, and the upload as it then stands; its columns are null when there is none.
CREATE TYPE "upload_decision" AS (
	"outcome" text,
	"judged_at" timestamptz,
	"used" integer,
	"reserved" integer,
	"remaining" integer,
	"free_at" timestamptz,
	"closed_by" text,
	"id" text,
	"reserved_at" timestamptz,
	"expires_at" timestamptz,
	"committed_at" timestamptz,
	"late" boolean,
	"publish_id" text,
	"released_at" timestamptz,
	"tiktok_error" text
);
--> statement-breakpoint
-- The database's name among all databases; a restore keeps it (F28).
INSERT INTO "epoch" DEFAULT VALUES;
--> statement-breakpoint
-- The one row of what is counted for the metrics.
INSERT INTO "fleet_figures" DEFAULT VALUES;
