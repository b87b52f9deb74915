-- Lets a replica send some refreshes, so few that those under way and those refused lately stay within what may be refused: when all are
-- refused, no more than that were asked. p_report holds replica_id, in_flight, accepted (since its last report), wanted, and
-- only_due: then no more is let in than is due.
--
-- A function and not a CTE, because it has to count after it got the lock. Returns how many may be sent, how much room is left, whether
-- the brake holds, and whether this call made it hold. While it holds one is let in: the claim decides whether that is its probe.
CREATE OR REPLACE FUNCTION admit_refreshes(p_report jsonb, OUT admitted integer, OUT room integer, OUT braked boolean, OUT braked_now boolean) LANGUAGE plpgsql AS $$
DECLARE
	report record;
	lately record;
	others bigint;
BEGIN
	SELECT r.* INTO STRICT report FROM jsonb_to_record(p_report) AS r(replica_id text, in_flight integer, accepted integer, wanted integer, only_due boolean);
	IF report.only_due THEN
		report.wanted := (SELECT count(*) FROM (SELECT 1 FROM token_sets
			WHERE due_at <= now() AND next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now()) LIMIT report.wanted) due);
	END IF;
	IF report.accepted > 0 THEN
		INSERT INTO acceptances AS a (endpoint, slot, replica_id, count)
		VALUES ('token', date_bin(interval '10 seconds', clock_timestamp(), timestamptz '2000-01-01 00:00:00Z'), report.replica_id, report.accepted)
		ON CONFLICT (endpoint, slot, replica_id) DO UPDATE SET count = a.count + excluded.count;
	END IF;
	braked_now := false;
	PERFORM pg_advisory_xact_lock(7214005, 1);
	SELECT * INTO STRICT lately FROM refusals_lately('token');
	SELECT coalesce(sum(in_flight), 0) INTO others FROM admissions
	WHERE replica_id <> report.replica_id AND reported_at > clock_timestamp() - interval '30 seconds';
	braked := EXISTS (SELECT 1 FROM circuit_breakers WHERE name = 'token_refused' AND failures > 0);
	IF NOT braked AND report.wanted > 0 AND lately.refused >= lately.allowed THEN
		braked_now := hold_refusals('token');
		braked := true;
	END IF;
	room := greatest(0, lately.allowed - lately.refused - others - report.in_flight);
	admitted := CASE WHEN braked THEN least(1, report.wanted) ELSE least(report.wanted, room) END;
	INSERT INTO admissions AS a (replica_id, in_flight, reported_at) VALUES (report.replica_id, report.in_flight + admitted, clock_timestamp())
	ON CONFLICT (replica_id) DO UPDATE SET in_flight = excluded.in_flight, reported_at = excluded.reported_at;
END $$;
