-- Holds the brake of one endpoint on all replicas: nothing that TikTok refused there is believed, and what was believed of access tokens
-- is taken back. The first probe may go out in a minute. Returns true for the caller that made it hold.
CREATE OR REPLACE FUNCTION hold_refusals(p_endpoint text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO circuit_breakers AS b (name, reason, failures, open_until)
	VALUES (p_endpoint || '_refused', CASE p_endpoint WHEN 'token' THEN 'invalid_grant' ELSE 'access_token_invalid' END, 1, now() + interval '1 minute')
	ON CONFLICT (name) DO UPDATE SET reason = excluded.reason, failures = 1, open_until = excluded.open_until WHERE b.failures = 0;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF p_endpoint = 'user_info' THEN
		UPDATE token_sets t SET refused_generation = NULL FROM refusals r
		WHERE r.endpoint = p_endpoint AND r.account_id = t.account_id AND r.generation = t.refused_generation;
	END IF;
	RETURN true;
END $$;
