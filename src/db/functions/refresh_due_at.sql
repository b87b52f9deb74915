-- When the background refreshes next. A token that was asked for in the last day is refreshed ahead of its expiry by
-- min(15 min, life/4), of which up to a half is jitter. The others are refreshed once a day, so that their health is known.
CREATE OR REPLACE FUNCTION refresh_due_at(p_expires_at timestamptz, p_lifetime_seconds integer, p_last_read_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT CASE
		WHEN p_last_read_at > now() - interval '1 day'
			THEN greatest(now() + interval '1 second', p_expires_at - least(interval '15 minutes', make_interval(secs => p_lifetime_seconds / 4.0)) * (0.5 + random() * 0.5))
		ELSE now() + interval '1 day' * (0.8 + random() * 0.2)
	END
$$;
