-- How many tokens TikTok refused within two minutes at one endpoint, and how many it may: 20, or 5 % of all it was shown if that is more.
-- Counts by an index and no further than the limit, so that a bad day costs no more than a good one.
CREATE OR REPLACE FUNCTION refusals_lately(p_endpoint text, OUT refused integer, OUT allowed integer) LANGUAGE plpgsql AS $$
DECLARE
	since timestamptz := clock_timestamp() - interval '2 minutes';
	accepted bigint;
BEGIN
	SELECT coalesce(sum(a.count), 0) INTO accepted FROM acceptances a WHERE a.endpoint = p_endpoint AND a.slot > since;
	-- Of all that were shown 5 % is a nineteenth of those that were taken.
	allowed := greatest(20, accepted / 19);
	SELECT count(*) INTO refused FROM (
		SELECT 1 FROM refusals r WHERE r.endpoint = p_endpoint AND r.refused_at > since LIMIT allowed + 1) few;
END $$;
