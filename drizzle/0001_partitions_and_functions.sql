-- What drizzle-kit cannot say: tables partitioned by day, so that retention is dropping a partition, and the one change
-- that has to look, lock and look again and therefore is a function.

-- Every access token that was handed out: who, whose, which (S27).
CREATE TABLE "token_reads" (
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"generation" integer NOT NULL,
	"degraded" boolean DEFAULT false NOT NULL,
	"request_id" text NOT NULL
) PARTITION BY RANGE ("at");
--> statement-breakpoint
CREATE TABLE "token_reads_default" PARTITION OF "token_reads" DEFAULT;
--> statement-breakpoint
CREATE INDEX "token_reads_account" ON "token_reads" ("account_id", "at");
--> statement-breakpoint
CREATE INDEX "token_reads_key" ON "token_reads" ("key_id", "at");
--> statement-breakpoint
-- Why an account is in its state, in plain codes; the refresh journal is a part of it.
CREATE TABLE "timeline" (
	"seq" bigint GENERATED ALWAYS AS IDENTITY,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"account_id" text NOT NULL,
	"kind" text NOT NULL,
	"code" text,
	"generation" integer,
	"attempt_id" text,
	"actor" text NOT NULL,
	"request_id" text
) PARTITION BY RANGE ("at");
--> statement-breakpoint
CREATE TABLE "timeline_default" PARTITION OF "timeline" DEFAULT;
--> statement-breakpoint
CREATE INDEX "timeline_account" ON "timeline" ("account_id", "at");
--> statement-breakpoint
-- Makes the daily partitions from today to p_days_ahead. Rows that came before their partition stay in the default one.
CREATE FUNCTION ensure_daily_partitions(p_days_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	made integer := 0;
	parent text;
	day date;
	name text;
BEGIN
	-- One maker at a time; the others find the work done.
	PERFORM pg_advisory_xact_lock(7214001);
	FOREACH parent IN ARRAY ARRAY['token_reads', 'timeline'] LOOP
		FOR i IN 0..p_days_ahead LOOP
			day := (now() AT TIME ZONE 'UTC')::date + i;
			name := parent || '_' || to_char(day, 'YYYYMMDD');
			IF to_regclass(name) IS NULL THEN
				BEGIN
					EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent,
						to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
					made := made + 1;
				EXCEPTION WHEN check_violation THEN
					NULL; -- the default partition holds rows of that day already
				END;
			END IF;
		END LOOP;
	END LOOP;
	RETURN made;
END $$;
--> statement-breakpoint
-- Retention: drops whole days that ended before p_keep_days ago.
CREATE FUNCTION drop_daily_partitions(p_parent text, p_keep_days integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	dropped integer := 0;
	partition record;
BEGIN
	FOR partition IN
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = p_parent::regclass AND c.relname ~ ('^' || p_parent || '_\d{8}$')
			AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - p_keep_days
	LOOP
		EXECUTE format('DROP TABLE %I', partition.relname);
		dropped := dropped + 1;
	END LOOP;
	RETURN dropped;
END $$;
--> statement-breakpoint
-- When the background refreshes next: ahead of the expiry by min(15 min, life/4), of which up to a half is jitter, for accounts
-- whose token was asked for in the last day; once a day for the others, so that their health is known.
CREATE FUNCTION refresh_due_at(p_expires_at timestamptz, p_lifetime_seconds integer, p_last_read_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT CASE
		WHEN p_last_read_at > now() - interval '1 day'
			THEN greatest(now() + interval '1 second', p_expires_at - least(interval '15 minutes', make_interval(secs => p_lifetime_seconds / 4.0)) * (0.5 + random() * 0.5))
		ELSE now() + interval '1 day' * (0.8 + random() * 0.2)
	END
$$;
--> statement-breakpoint
-- Gives a fresh grant its account: a new one while the owner has a place, or the one that this TikTok account has already.
-- A function and not a CTE, because it has to lock the owner first and count afterwards: in one statement the count
-- would see the snapshot from before the wait, and two connects could take the last place.
-- Tokens come sealed for (p_account, p_generation); when that is no longer where they belong the answer is 'moved' and the caller seals anew.
-- Lock order everywhere: owner, token set, account.
CREATE FUNCTION connect_account(
	p_owner text, p_account text, p_generation integer, p_open_id text, p_reconnect text, p_limit integer, p_label text,
	p_account_type text, p_attested_at timestamptz, p_attestation_version text, p_scopes text[], p_missing_scopes text[],
	p_sealed_access text, p_sealed_refresh text, p_access_expires_at timestamptz, p_refresh_expires_at timestamptz, p_lifetime integer,
	p_attempt text, p_session text, p_actor text
) RETURNS TABLE (outcome text, account_id text) LANGUAGE plpgsql AS $$
DECLARE
	present record;
	present_generation integer;
	was_down boolean := false;
BEGIN
	-- A repeat after a lost answer recognises its own success.
	SELECT a.id INTO present FROM accounts a JOIN token_sets t ON t.account_id = a.id WHERE t.saved_attempt_id = p_attempt AND a.id = p_account;
	IF FOUND THEN
		RETURN QUERY SELECT 'connected', present.id;
		RETURN;
	END IF;

	INSERT INTO owners (id) VALUES (p_owner) ON CONFLICT (id) DO UPDATE SET updated_at = now();

	SELECT a.id, a.owner_id, a.status INTO present FROM accounts a WHERE a.open_id = p_open_id AND a.status <> 'disconnected';
	IF FOUND THEN
		IF present.owner_id <> p_owner THEN
			RETURN QUERY SELECT 'already_connected', present.id;
			RETURN;
		ELSIF p_reconnect IS NOT NULL AND p_reconnect <> present.id THEN
			RETURN QUERY SELECT 'mismatch', present.id;
			RETURN;
		ELSIF present.id <> p_account THEN
			RETURN QUERY SELECT 'moved', present.id;
			RETURN;
		END IF;
		SELECT t.generation INTO present_generation FROM token_sets t WHERE t.account_id = p_account FOR UPDATE;
		IF NOT FOUND OR present_generation + 1 <> p_generation THEN
			RETURN QUERY SELECT 'moved', p_account;
			RETURN;
		END IF;
		was_down := present.status = 'reauthorization_required';
		UPDATE accounts a SET status = 'active', status_reason = NULL, status_changed_at = now(), scopes = p_scopes, authorized_at = now(),
			account_type = p_account_type, attested_at = p_attested_at, attestation_version = p_attestation_version, age_confirmed_at = p_attested_at,
			label = coalesce(a.label, p_label), profile_due_at = now(), expiry_announced_days = NULL
		WHERE a.id = p_account AND a.status <> 'disconnected';
		UPDATE token_sets t SET generation = p_generation, sealed_access_token = p_sealed_access, sealed_refresh_token = p_sealed_refresh,
			access_expires_at = p_access_expires_at, refresh_expires_at = p_refresh_expires_at, lifetime_seconds = p_lifetime,
			refreshed_at = now(), saved_attempt_id = p_attempt, attempt_id = NULL, lease_until = NULL, unsettled_attempts = 0, rejected_at = NULL,
			failures = 0, next_attempt_at = now(), last_read_at = now(), due_at = refresh_due_at(p_access_expires_at, p_lifetime, now())
		WHERE t.account_id = p_account;
	ELSE
		IF p_reconnect IS NOT NULL THEN
			RETURN QUERY SELECT 'mismatch', p_reconnect;
			RETURN;
		ELSIF p_generation <> 1 THEN
			RETURN QUERY SELECT 'moved', p_account;
			RETURN;
		ELSIF (SELECT count(*) FROM accounts a WHERE a.owner_id = p_owner AND a.status <> 'disconnected') >= p_limit THEN
			RETURN QUERY SELECT 'limit_reached', NULL::text;
			RETURN;
		END IF;
		BEGIN
			INSERT INTO accounts (id, owner_id, open_id, label, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes, profile_due_at)
			VALUES (p_account, p_owner, p_open_id, p_label, 'active', p_account_type, p_attested_at, p_attestation_version, p_attested_at, p_scopes, now());
		EXCEPTION WHEN unique_violation THEN
			-- Another connect of the same TikTok account was quicker; the caller looks again.
			RETURN QUERY SELECT 'moved', NULL::text;
			RETURN;
		END;
		INSERT INTO token_sets (account_id, generation, sealed_access_token, sealed_refresh_token, access_expires_at, refresh_expires_at, lifetime_seconds, saved_attempt_id, due_at)
		VALUES (p_account, 1, p_sealed_access, p_sealed_refresh, p_access_expires_at, p_refresh_expires_at, p_lifetime, p_attempt, refresh_due_at(p_access_expires_at, p_lifetime, now()));
	END IF;

	UPDATE connect_sessions s SET status = 'completed', error = NULL, account_id = p_account, completed_at = now(), sealed_code = NULL, sealed_verifier = NULL,
		attempt_id = NULL, lease_until = NULL WHERE s.id = p_session;
	INSERT INTO timeline (account_id, kind, generation, attempt_id, actor)
	VALUES (p_account, CASE WHEN p_generation = 1 THEN 'connected' ELSE 'reconnected' END, p_generation, p_attempt, p_actor);
	INSERT INTO events (type, account_id, data)
	VALUES (CASE WHEN p_generation = 1 THEN 'account.connected' ELSE 'account.reconnected' END, p_account,
		jsonb_build_object('account_id', p_account, 'owner_id', p_owner, 'scopes', to_jsonb(p_scopes), 'missing_scopes', to_jsonb(p_missing_scopes)));
	IF was_down THEN
		INSERT INTO events (type, account_id, data) VALUES ('account.recovered', p_account, jsonb_build_object('account_id', p_account, 'owner_id', p_owner));
	END IF;
	RETURN QUERY SELECT 'connected', p_account;
END $$;
