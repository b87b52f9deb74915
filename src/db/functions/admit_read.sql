-- Lets a key read one more account, unless it has read p_cap others within ten minutes (exact to half a minute).
-- An account that was read lately costs one look-up. All others wait for the key's row in read_totals, so that parallel reads cannot
-- pass together, and nobody counts rows. Returns null to go on, otherwise in how many seconds the next place comes free.
CREATE OR REPLACE FUNCTION admit_read(p_key text, p_account text, p_cap integer) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	seen timestamptz;
	oldest timestamptz;
	taken integer;
	ended integer;
	present timestamptz;
BEGIN
	SELECT read_at INTO seen FROM read_windows WHERE key_id = p_key AND account_id = p_account;
	IF seen > now() - interval '30 seconds' THEN
		RETURN NULL;
	END IF;
	SELECT accounts INTO taken FROM read_totals WHERE key_id = p_key FOR UPDATE;
	IF NOT FOUND THEN
		INSERT INTO read_totals (key_id, accounts) VALUES (p_key, 0) ON CONFLICT DO NOTHING;
		SELECT accounts INTO taken FROM read_totals WHERE key_id = p_key FOR UPDATE;
	END IF;
	present := clock_timestamp(); -- under the lock; and an index can be asked about a value only
	DELETE FROM read_windows WHERE key_id = p_key AND read_at <= present - interval '10 minutes';
	GET DIAGNOSTICS ended = ROW_COUNT;
	taken := taken - ended;
	UPDATE read_windows SET read_at = present WHERE key_id = p_key AND account_id = p_account;
	IF NOT FOUND AND taken < p_cap THEN
		INSERT INTO read_windows (key_id, account_id, read_at) VALUES (p_key, p_account, present);
		taken := taken + 1;
	ELSIF NOT FOUND THEN
		SELECT min(read_at) INTO oldest FROM read_windows WHERE key_id = p_key;
	END IF;
	UPDATE read_totals SET accounts = taken WHERE key_id = p_key AND accounts <> taken;
	RETURN CASE WHEN oldest IS NOT NULL THEN greatest(1, extract(epoch FROM oldest + interval '10 minutes' - present)) END;
END $$;
