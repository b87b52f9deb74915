CREATE TABLE "acceptances" (
	"endpoint" text NOT NULL,
	"slot" timestamp with time zone NOT NULL,
	"replica_id" text NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "acceptances_endpoint_slot_replica_id_pk" PRIMARY KEY("endpoint","slot","replica_id")
);
--> statement-breakpoint
CREATE TABLE "admissions" (
	"replica_id" text PRIMARY KEY NOT NULL,
	"in_flight" integer NOT NULL,
	"reported_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "refusals" (
	"endpoint" text NOT NULL,
	"account_id" text NOT NULL,
	"generation" integer NOT NULL,
	"refused_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "refusals_endpoint_account_id_generation_pk" PRIMARY KEY("endpoint","account_id","generation")
);
--> statement-breakpoint
ALTER TABLE "refusals" ADD CONSTRAINT "refusals_account_id_token_sets_account_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."token_sets"("account_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "refusals_lately" ON "refusals" USING btree ("endpoint","refused_at");