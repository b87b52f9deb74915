-- Makes the daily partitions of the audit from today to p_days_ahead. Rows that came before their partition stay in the default one.
--
-- It runs with its owner's rights and waits for a lock only shortly; drop_daily_partitions.sql says why.
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

REVOKE EXECUTE ON FUNCTION ensure_daily_partitions(integer) FROM PUBLIC;
