-- Retention of the audit: drops whole days that ended before p_keep_days ago, and what the default partition holds of them.
--
-- The service's role may only add to the audit (roles.sql), so this runs with its owner's rights. It takes the parent from a fixed
-- list. How long the audit is kept is the owner's to say, who keeps thirty days at least; whoever else calls this keeps ninety.
--
-- Dropping locks the whole table for a moment. Behind a long query of the audit that moment does not come, and every token read
-- would queue up behind this wait. So the wait is short, and the next round tries again.
CREATE OR REPLACE FUNCTION drop_daily_partitions(p_parent text, p_keep_days integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '300ms' AS $$
DECLARE
	dropped integer := 0;
	partition record;
	oldest_kept date := (now() AT TIME ZONE 'UTC')::date - p_keep_days;
BEGIN
	IF p_parent NOT IN ('token_reads', 'timeline') OR p_keep_days < (CASE WHEN has_table_privilege(session_user, 'public.audit_log', 'DELETE') THEN 30 ELSE 90 END) THEN
		RAISE EXCEPTION 'only token_reads and timeline, and nothing of the last ninety days (for the owner thirty)' USING ERRCODE = 'invalid_parameter_value';
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

REVOKE EXECUTE ON FUNCTION drop_daily_partitions(text, integer) FROM PUBLIC;
