-- Retention of the audit log: deletes at most p_limit of the rows that are older than p_keep_days, and never one of the last year, whoever calls it.
-- It runs with its owner's rights, because the service's role may only add (roles.sql).
CREATE OR REPLACE FUNCTION drop_old_audit_log(p_keep_days integer, p_limit integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
	dropped integer;
BEGIN
	IF p_keep_days < 365 THEN
		RAISE EXCEPTION 'the last year of the audit log stays' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	DELETE FROM audit_log WHERE seq IN (SELECT seq FROM audit_log WHERE at < now() - make_interval(days => p_keep_days) ORDER BY seq LIMIT p_limit);
	GET DIAGNOSTICS dropped = ROW_COUNT;
	RETURN dropped;
END $$;

REVOKE EXECUTE ON FUNCTION drop_old_audit_log(integer, integer) FROM PUBLIC;
