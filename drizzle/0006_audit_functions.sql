-- The audit is only ever added to, by a role that may do no more (ops/roles.sql): so the two functions that make and drop its
-- partitions run with the rights of their owner. They take the parent's name from a fixed list and keep at least thirty days.
--
-- Making or dropping a partition locks the whole table for a moment. Behind a long query of the audit that moment never comes, and every
-- token read would queue up behind whoever waits for it: so the wait is short, and the next round tries again.
CREATE OR REPLACE FUNCTION ensure_daily_partitions(p_days_ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '300ms' AS $$
DECLARE
	made integer := 0;
	parent text;
	day date;
	name text;
BEGIN
	-- One maker at a time; the others find the work done.
	BEGIN
		PERFORM pg_advisory_xact_lock(7214001);
	EXCEPTION WHEN lock_not_available THEN
		RETURN 0;
	END;
	FOREACH parent IN ARRAY ARRAY['token_reads', 'timeline'] LOOP
		FOR i IN 0..least(p_days_ahead, 31) LOOP
			day := (now() AT TIME ZONE 'UTC')::date + i;
			name := parent || '_' || to_char(day, 'YYYYMMDD');
			IF to_regclass(name) IS NULL THEN
				BEGIN
					EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent,
						to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
					made := made + 1;
				EXCEPTION
					WHEN check_violation THEN NULL; -- the default partition holds rows of that day already
					WHEN lock_not_available THEN RETURN made; -- somebody reads the audit; the default partition takes what comes
				END;
			END IF;
		END LOOP;
	END LOOP;
	RETURN made;
END $$;
--> statement-breakpoint
-- Retention: drops whole days that ended before p_keep_days ago, and what the default partition holds of them.
CREATE OR REPLACE FUNCTION drop_daily_partitions(p_parent text, p_keep_days integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '300ms' AS $$
DECLARE
	dropped integer := 0;
	partition record;
	oldest_kept date := (now() AT TIME ZONE 'UTC')::date - p_keep_days;
BEGIN
	IF p_parent NOT IN ('token_reads', 'timeline') OR p_keep_days < 30 THEN
		RAISE EXCEPTION 'only token_reads and timeline, and nothing of the last thirty days' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	FOR partition IN
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = p_parent::regclass AND c.relname ~ ('^' || p_parent || '_\d{8}$')
			AND to_date(right(c.relname, 8), 'YYYYMMDD') < oldest_kept
		ORDER BY c.relname
	LOOP
		BEGIN
			EXECUTE format('DROP TABLE %I', partition.relname);
			dropped := dropped + 1;
		EXCEPTION WHEN lock_not_available THEN
			RETURN dropped;
		END;
	END LOOP;
	EXECUTE format('DELETE FROM %I WHERE at < %L', p_parent || '_default', oldest_kept::text || ' 00:00:00+00');
	RETURN dropped;
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION ensure_daily_partitions(integer), drop_daily_partitions(text, integer) FROM PUBLIC;
--> statement-breakpoint
-- "What did this actor change?" Most rows are the service's own and are found by their account.
CREATE INDEX "timeline_actor" ON "timeline" ("actor", "at") WHERE actor <> 'service';
--> statement-breakpoint
-- Lets a key read one more account, unless it has read p_cap others within ten minutes (to half a minute). An account it has read lately costs
-- one look-up; a new one is counted under a lock per key, so that parallel reads cannot pass together.
-- @returns null: go on; otherwise in how many seconds the next place comes free
CREATE FUNCTION admit_read(p_key text, p_account text, p_cap integer) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	seen timestamptz;
	oldest timestamptz;
	taken integer;
BEGIN
	SELECT read_at INTO seen FROM read_windows WHERE key_id = p_key AND account_id = p_account;
	IF seen > now() - interval '30 seconds' THEN
		RETURN NULL;
	END IF;
	PERFORM pg_advisory_xact_lock(7214003, hashtext(p_key));
	IF seen > now() - interval '10 minutes' THEN
		UPDATE read_windows SET read_at = clock_timestamp() WHERE key_id = p_key AND account_id = p_account;
		RETURN NULL;
	END IF;
	DELETE FROM read_windows WHERE key_id = p_key AND read_at <= clock_timestamp() - interval '10 minutes';
	SELECT count(*), min(read_at) INTO taken, oldest FROM read_windows WHERE key_id = p_key AND account_id <> p_account;
	IF taken >= p_cap THEN
		RETURN greatest(1, extract(epoch FROM oldest + interval '10 minutes' - clock_timestamp()));
	END IF;
	INSERT INTO read_windows (key_id, account_id, read_at) VALUES (p_key, p_account, clock_timestamp())
	ON CONFLICT (key_id, account_id) DO UPDATE SET read_at = excluded.read_at;
	RETURN NULL;
END $$;
