CREATE TABLE "epoch" (
	"database_id" text PRIMARY KEY DEFAULT gen_random_uuid()::text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "journals" (
	"id" text PRIMARY KEY NOT NULL,
	"mark" bigint NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "recoveries" (
	"id" text PRIMARY KEY DEFAULT 'rec_' || replace(gen_random_uuid()::text, '-', '') NOT NULL,
	"reason" text NOT NULL,
	"begun_by" text NOT NULL,
	"began_at" timestamp with time zone DEFAULT now() NOT NULL,
	"rewound_to" timestamp with time zone,
	"ended_at" timestamp with time zone,
	"ended_by" text
);
--> statement-breakpoint
CREATE TABLE "recovery_journals" (
	"recovery_id" text NOT NULL,
	"journal_id" text NOT NULL,
	"state" text NOT NULL,
	"last_seen_at" timestamp with time zone,
	"counts" jsonb,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "recovery_journals_recovery_id_journal_id_pk" PRIMARY KEY("recovery_id","journal_id")
);
--> statement-breakpoint
ALTER TABLE "recovery_journals" ADD CONSTRAINT "recovery_journals_recovery_id_recoveries_id_fk" FOREIGN KEY ("recovery_id") REFERENCES "public"."recoveries"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "recoveries_open" ON "recoveries" USING btree ((ended_at is null)) WHERE ended_at is null;--> statement-breakpoint
-- The database's name among all databases.
INSERT INTO "epoch" DEFAULT VALUES;
