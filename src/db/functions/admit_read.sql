-- Lets a key read one more account, unless it has read p_cap others within ten minutes (exact to half a minute).
-- An account that was read lately costs one look-up. A new one is counted under a lock per key, so that parallel reads cannot
-- pass together. Returns null to go on, otherwise in how many seconds the next place comes free.
CREATE OR REPLACE FUNCTION admit_read(p_key text, p_account text, p_cap integer) RETURNS double precision LANGUAGE plpgsql AS $$
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
