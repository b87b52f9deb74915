-- Lets go of the brake of one endpoint. Refresh tokens that are suspected are asked about once more, so slowly that their refusals alone
-- cannot make it hold again; whichever is refused then is believed in the usual way.
-- Returns how many are asked again; null when it did not hold.
CREATE OR REPLACE FUNCTION release_refusals(p_endpoint text, p_actor text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	allowed integer := (SELECT l.allowed FROM refusals_lately(p_endpoint) l);
	again integer := 0;
BEGIN
	UPDATE circuit_breakers SET failures = 0, reason = NULL, open_until = '-infinity' WHERE name = p_endpoint || '_refused' AND failures > 0;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	IF p_endpoint = 'token' THEN
		UPDATE token_sets t SET rejected_at = NULL, unsettled_attempts = greatest(0, t.unsettled_attempts - 1), next_attempt_at = s.at, due_at = s.at
		FROM (
			SELECT r.account_id, r.generation, now() + make_interval(secs => 240.0 / allowed * row_number() OVER (ORDER BY r.refused_at)) AS at
			FROM refusals r WHERE r.endpoint = p_endpoint
		) s
		WHERE t.account_id = s.account_id AND t.generation = s.generation AND t.rejected_at IS NOT NULL AND t.due_at IS NOT NULL;
		GET DIAGNOSTICS again = ROW_COUNT;
	END IF;
	DELETE FROM refusals WHERE endpoint = p_endpoint;
	INSERT INTO audit_log (actor, action, object, detail) VALUES (p_actor, 'breaker_released', p_endpoint || '_refused', again::text);
	RETURN again;
END $$;
