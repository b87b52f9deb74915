CREATE TABLE "acceptances" (
	"endpoint" text NOT NULL,
	"slot" timestamp with time zone NOT NULL,
	"replica_id" text NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "acceptances_endpoint_slot_replica_id_pk" PRIMARY KEY("endpoint","slot","replica_id")
);
--> statement-breakpoint
CREATE TABLE "account_tallies" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "account_tallies_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"status" text NOT NULL,
	"reason" text NOT NULL,
	"delta" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"owner_id" text NOT NULL,
	"open_id" text,
	"sealed_identity" text,
	"label" text,
	"status" text NOT NULL,
	"status_reason" text,
	"status_changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"account_type" text NOT NULL,
	"attested_at" timestamp with time zone NOT NULL,
	"attestation_version" text NOT NULL,
	"attestation_source" text DEFAULT 'self_attested' NOT NULL,
	"age_confirmed_at" timestamp with time zone NOT NULL,
	"scopes" text[] NOT NULL,
	"profile_due_at" timestamp with time zone,
	"authorized_at" timestamp with time zone DEFAULT now() NOT NULL,
	"connected_at" timestamp with time zone DEFAULT now() NOT NULL,
	"disconnected_at" timestamp with time zone,
	"expiry_announced_days" integer
);
--> statement-breakpoint
CREATE TABLE "admissions" (
	"replica_id" text PRIMARY KEY NOT NULL,
	"in_flight" integer NOT NULL,
	"reported_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"secret_hash" text NOT NULL,
	"scopes" text[] NOT NULL,
	"owner_prefixes" text[],
	"account_ids" text[],
	"networks" text[],
	"sealed_facts" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"last_used_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "audit_days" (
	"day" text PRIMARY KEY NOT NULL,
	"rows" integer NOT NULL,
	"hash" text NOT NULL,
	"sealed_hash" text NOT NULL,
	"closed_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_log" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_log_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"object" text NOT NULL,
	"detail" text,
	CONSTRAINT "audit_log_operator" CHECK (actor <> 'operator' or has_table_privilege(session_user, 'public.audit_log', 'DELETE'))
);
--> statement-breakpoint
CREATE TABLE "audit_streams" (
	"id" text PRIMARY KEY NOT NULL,
	"at_micros" text NOT NULL,
	"source" integer NOT NULL,
	"key" text NOT NULL,
	"holder" text NOT NULL,
	"lease_until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "authorization_requests" (
	"state_hash" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"binding_hash" text NOT NULL,
	"sealed_verifier" text,
	"reconnect_account_id" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"consumed_at" timestamp with time zone,
	"required_only" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "circuit_breakers" (
	"name" text PRIMARY KEY NOT NULL,
	"reason" text,
	"failures" integer DEFAULT 0 NOT NULL,
	"open_until" timestamp with time zone DEFAULT '-infinity' NOT NULL
);
--> statement-breakpoint
CREATE TABLE "connect_sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"link_secret_hash" text NOT NULL,
	"owner_id" text NOT NULL,
	"return_url" text NOT NULL,
	"completion" text NOT NULL,
	"account_type" text,
	"age_confirmed_at" timestamp with time zone,
	"attestation_version" text,
	"label" text,
	"owner_name" text,
	"locale" text,
	"prompt" text,
	"branding" jsonb,
	"reconnect_account_id" text,
	"status" text NOT NULL,
	"error" text,
	"account_id" text,
	"sealed_code" text,
	"sealed_verifier" text,
	"confirm_hash" text,
	"wrong_confirms" integer DEFAULT 0 NOT NULL,
	"attempt_id" text,
	"lease_until" timestamp with time zone,
	"created_by" text NOT NULL,
	"rights" text[] NOT NULL,
	"reached_account_ids" text[],
	"visitor_hash" text,
	"visits" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"completed_at" timestamp with time zone,
	"required_only" boolean DEFAULT false NOT NULL,
	CONSTRAINT "connect_sessions_link_secret_hash_unique" UNIQUE("link_secret_hash")
);
--> statement-breakpoint
CREATE TABLE "deliveries" (
	"event_id" text NOT NULL,
	"endpoint_id" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_code" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp with time zone,
	"dead_at" timestamp with time zone,
	CONSTRAINT "deliveries_event_id_endpoint_id_pk" PRIMARY KEY("event_id","endpoint_id")
);
--> statement-breakpoint
CREATE TABLE "epoch" (
	"database_id" text PRIMARY KEY DEFAULT gen_random_uuid()::text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "event_endpoints" (
	"id" text PRIMARY KEY NOT NULL,
	"origin" text NOT NULL,
	"fingerprint" text NOT NULL,
	"xid" "xid8" NOT NULL,
	"seq" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"disabled_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "events" (
	"seq" bigint GENERATED ALWAYS AS IDENTITY (sequence name "events_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"id" text DEFAULT 'evt_' || replace(gen_random_uuid()::text, '-', '') NOT NULL,
	"type" text NOT NULL,
	"account_id" text,
	"data" jsonb NOT NULL,
	"occurred_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "events_xid_seq_pk" PRIMARY KEY("xid","seq"),
	CONSTRAINT "events_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "fleet_figures" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"figures" jsonb,
	"measured_at" timestamp with time zone DEFAULT now() NOT NULL,
	"lease_until" timestamp with time zone DEFAULT '-infinity' NOT NULL
);
--> statement-breakpoint
CREATE TABLE "journals" (
	"id" text PRIMARY KEY NOT NULL,
	"mark" bigint NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "notices" (
	"body_hash" text PRIMARY KEY NOT NULL,
	"event" text NOT NULL,
	"open_id" text,
	"account_id" text,
	"said_at" timestamp with time zone NOT NULL,
	"body" "bytea",
	"received_at" timestamp with time zone DEFAULT now() NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp with time zone,
	"outcome" text,
	"draft_hash" text
);
--> statement-breakpoint
CREATE TABLE "owners" (
	"id" text PRIMARY KEY NOT NULL,
	"tier" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "profiles" (
	"account_id" text PRIMARY KEY NOT NULL,
	"union_id" text,
	"username" text,
	"display_name" text,
	"follower_count" bigint,
	"is_verified" boolean,
	"fetched_at" timestamp with time zone DEFAULT now() NOT NULL,
	"picture" "bytea",
	"picture_type" text,
	"picture_etag" text,
	"picture_source" text,
	"picture_fetched_at" timestamp with time zone,
	"refused_fields" text[]
);
--> statement-breakpoint
CREATE TABLE "read_windows" (
	"key_id" text NOT NULL,
	"account_id" text NOT NULL,
	"read_at" timestamp with time zone NOT NULL,
	CONSTRAINT "read_windows_key_id_account_id_pk" PRIMARY KEY("key_id","account_id")
);
--> statement-breakpoint
CREATE TABLE "reconciled_accounts" (
	"reconciliation_id" text NOT NULL,
	"account_id" text NOT NULL,
	"outcome" text NOT NULL,
	"reason" text,
	"generation" integer NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"marked_at" timestamp with time zone,
	"announced_at" timestamp with time zone,
	CONSTRAINT "reconciled_accounts_reconciliation_id_account_id_pk" PRIMARY KEY("reconciliation_id","account_id")
);
--> statement-breakpoint
CREATE TABLE "reconciliations" (
	"id" text PRIMARY KEY NOT NULL,
	"dry_run" boolean NOT NULL,
	"began_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone
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
CREATE TABLE "refusals" (
	"endpoint" text NOT NULL,
	"account_id" text NOT NULL,
	"generation" integer NOT NULL,
	"refused_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "refusals_endpoint_account_id_generation_pk" PRIMARY KEY("endpoint","account_id","generation")
);
--> statement-breakpoint
CREATE TABLE "replicas" (
	"id" text PRIMARY KEY NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"key_ids" text[] NOT NULL,
	"primary_key_id" text NOT NULL,
	"journal_key_ids" text[] NOT NULL
);
--> statement-breakpoint
CREATE TABLE "revocations" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text,
	"session_id" text,
	"owner_id" text,
	"tiktok_user" "bytea",
	"reason" text NOT NULL,
	"subject" text NOT NULL,
	"generation" integer NOT NULL,
	"sealed_access_token" text NOT NULL,
	"sealed_refresh_token" text NOT NULL,
	"access_expires_at" timestamp with time zone NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "revocations_subject" CHECK (num_nonnulls(account_id, session_id) = 1)
);
--> statement-breakpoint
CREATE TABLE "timeline" (
	"seq" bigint GENERATED ALWAYS AS IDENTITY (sequence name "timeline_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"account_id" text,
	"session_id" text,
	"kind" text NOT NULL,
	"code" text,
	"generation" integer,
	"attempt_id" text,
	"actor" text NOT NULL,
	"via_session_id" text,
	"via_key_id" text,
	"request_id" text,
	CONSTRAINT "timeline_operator" CHECK (actor <> 'operator' or has_table_privilege(session_user, 'public.audit_log', 'DELETE')),
	CONSTRAINT "timeline_subject" CHECK (num_nonnulls(account_id, session_id) = 1)
) PARTITION BY RANGE ("at");
--> statement-breakpoint
CREATE TABLE "token_reads" (
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"generation" integer NOT NULL,
	"degraded" boolean DEFAULT false NOT NULL,
	"request_id" text NOT NULL
) PARTITION BY RANGE ("at");
--> statement-breakpoint
CREATE TABLE "token_sets" (
	"account_id" text PRIMARY KEY NOT NULL,
	"generation" integer NOT NULL,
	"client_key" text NOT NULL,
	"sealed_access_token" text NOT NULL,
	"sealed_refresh_token" text NOT NULL,
	"access_expires_at" timestamp with time zone NOT NULL,
	"sealed_expiry" text,
	"refresh_expires_at" timestamp with time zone,
	"lifetime_seconds" integer NOT NULL,
	"refreshed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"saved_attempt_id" text NOT NULL,
	"attempt_id" text,
	"lease_until" timestamp with time zone,
	"unsettled_attempts" integer DEFAULT 0 NOT NULL,
	"rejected_at" timestamp with time zone,
	"failures" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"due_at" timestamp with time zone,
	"last_read_at" timestamp with time zone DEFAULT now() NOT NULL,
	"refused_generation" integer
);
--> statement-breakpoint
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
	"caller" text NOT NULL,
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
CREATE TABLE "vault_keys" (
	"key_id" text PRIMARY KEY NOT NULL,
	"sealed_canary" text NOT NULL,
	"seals" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "read_totals" (
	"key_id" text PRIMARY KEY NOT NULL,
	"accounts" integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_owner_id_owners_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."owners"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD CONSTRAINT "authorization_requests_session_id_connect_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."connect_sessions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_event_id_events_id_fk" FOREIGN KEY ("event_id") REFERENCES "public"."events"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_endpoint_id_event_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."event_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "profiles" ADD CONSTRAINT "profiles_account_id_token_sets_account_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."token_sets"("account_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "reconciled_accounts" ADD CONSTRAINT "reconciled_accounts_reconciliation_id_reconciliations_id_fk" FOREIGN KEY ("reconciliation_id") REFERENCES "public"."reconciliations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "reconciled_accounts" ADD CONSTRAINT "reconciled_accounts_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "recovery_journals" ADD CONSTRAINT "recovery_journals_recovery_id_recoveries_id_fk" FOREIGN KEY ("recovery_id") REFERENCES "public"."recoveries"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "refusals" ADD CONSTRAINT "refusals_account_id_token_sets_account_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."token_sets"("account_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "token_sets" ADD CONSTRAINT "token_sets_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "accounts_open_id_live" ON "accounts" USING btree ("open_id") WHERE status <> 'disconnected';--> statement-breakpoint
CREATE INDEX "accounts_owner" ON "accounts" USING btree ("owner_id","id");--> statement-breakpoint
CREATE INDEX "accounts_profile_due" ON "accounts" USING btree ("profile_due_at") WHERE profile_due_at is not null and status = 'active';--> statement-breakpoint
CREATE INDEX "accounts_expiry_announced" ON "accounts" USING btree ("id") WHERE expiry_announced_days is not null;--> statement-breakpoint
CREATE INDEX "audit_log_at" ON "audit_log" USING brin ("at");--> statement-breakpoint
CREATE INDEX "audit_log_actor" ON "audit_log" USING btree ("actor","at");--> statement-breakpoint
CREATE INDEX "audit_log_object" ON "audit_log" USING btree ("object","at");--> statement-breakpoint
CREATE INDEX "authorization_requests_session" ON "authorization_requests" USING btree ("session_id");--> statement-breakpoint
CREATE INDEX "authorization_requests_expiry" ON "authorization_requests" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "connect_sessions_expiry" ON "connect_sessions" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "deliveries_due" ON "deliveries" USING btree ("endpoint_id","next_attempt_at") WHERE delivered_at is null and dead_at is null;--> statement-breakpoint
CREATE INDEX "deliveries_dead" ON "deliveries" USING btree ("dead_at") WHERE dead_at is not null;--> statement-breakpoint
CREATE INDEX "notices_unsettled" ON "notices" USING btree ("next_attempt_at") WHERE settled_at is null;--> statement-breakpoint
CREATE INDEX "notices_received" ON "notices" USING btree ("received_at");--> statement-breakpoint
CREATE INDEX "notices_person" ON "notices" USING btree ("open_id") WHERE open_id is not null;--> statement-breakpoint
CREATE INDEX "notices_draft" ON "notices" USING btree ("draft_hash") WHERE draft_hash is not null;--> statement-breakpoint
CREATE INDEX "profiles_union_id" ON "profiles" USING btree ("union_id") WHERE union_id is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "reconciliations_open" ON "reconciliations" USING btree ("dry_run") WHERE ended_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX "recoveries_open" ON "recoveries" USING btree ((ended_at is null)) WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "refusals_lately" ON "refusals" USING btree ("endpoint","refused_at");--> statement-breakpoint
CREATE INDEX "revocations_due" ON "revocations" USING btree ("next_attempt_at");--> statement-breakpoint
CREATE INDEX "revocations_owner" ON "revocations" USING btree ("owner_id") WHERE owner_id is not null;--> statement-breakpoint
CREATE INDEX "revocations_user" ON "revocations" USING btree ("tiktok_user");--> statement-breakpoint
CREATE INDEX "timeline_at" ON "timeline" USING brin ("at");--> statement-breakpoint
CREATE INDEX "timeline_account" ON "timeline" USING btree ("account_id","at");--> statement-breakpoint
CREATE INDEX "timeline_session" ON "timeline" USING btree ("session_id","at") WHERE session_id is not null;--> statement-breakpoint
CREATE INDEX "timeline_actor" ON "timeline" USING btree ("actor","at") WHERE actor <> 'service';--> statement-breakpoint
CREATE INDEX "token_reads_at" ON "token_reads" USING brin ("at");--> statement-breakpoint
CREATE INDEX "token_reads_account" ON "token_reads" USING btree ("account_id","at");--> statement-breakpoint
CREATE INDEX "token_reads_key" ON "token_reads" USING btree ("key_id","at");--> statement-breakpoint
CREATE INDEX "token_sets_due" ON "token_sets" USING btree ("due_at") WHERE due_at is not null;--> statement-breakpoint
CREATE INDEX "token_sets_refresh_expiry" ON "token_sets" USING btree ("refresh_expires_at") WHERE due_at is not null;--> statement-breakpoint
CREATE INDEX "upload_gates_closed" ON "upload_gates" USING btree ("closed_until") WHERE closed_until > '-infinity';--> statement-breakpoint
CREATE INDEX "upload_gates_exhausted" ON "upload_gates" USING btree ("exhausted_until") WHERE exhausted_until is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "uploads_idempotency_key" ON "uploads" USING btree ("account_id","caller","idempotency_key");--> statement-breakpoint
CREATE INDEX "uploads_held" ON "uploads" USING btree ("tiktok_user","held_until");--> statement-breakpoint
CREATE INDEX "uploads_purge" ON "uploads" USING brin ("reserved_at");--> statement-breakpoint
CREATE INDEX "connect_sessions_owner" ON "connect_sessions" USING btree ("owner_id","id");--> statement-breakpoint
CREATE INDEX "connect_sessions_secrets" ON "connect_sessions" USING btree ("expires_at") WHERE sealed_code is not null or sealed_verifier is not null;--> statement-breakpoint
CREATE INDEX "events_account" ON "events" USING btree ("account_id","xid","seq");--> statement-breakpoint
CREATE INDEX "events_owner" ON "events" USING btree ((data ->> 'owner_id'),"xid","seq");--> statement-breakpoint
CREATE INDEX "events_type" ON "events" USING btree ("type","xid","seq");--> statement-breakpoint
CREATE INDEX "read_windows_oldest" ON "read_windows" USING btree ("key_id","read_at");