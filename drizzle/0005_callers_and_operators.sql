CREATE TABLE "read_windows" (
	"key_id" text NOT NULL,
	"account_id" text NOT NULL,
	"read_at" timestamp with time zone NOT NULL,
	CONSTRAINT "read_windows_key_id_account_id_pk" PRIMARY KEY("key_id","account_id")
);
--> statement-breakpoint
CREATE TABLE "replicas" (
	"id" text PRIMARY KEY NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"key_ids" text[] NOT NULL,
	"primary_key_id" text NOT NULL,
	"spill_key_ids" text[] NOT NULL
);
--> statement-breakpoint
CREATE TABLE "trail" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "trail_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"object" text NOT NULL,
	"detail" text
);
--> statement-breakpoint
CREATE INDEX "trail_actor" ON "trail" USING btree ("actor","at");--> statement-breakpoint
CREATE INDEX "trail_object" ON "trail" USING btree ("object","at");