-- Rounds up to the millisecond. Callers see no finer, and must not come back a moment too early.
CREATE OR REPLACE FUNCTION ceil_milliseconds(p_at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
	SELECT date_trunc('milliseconds', p_at + interval '999 microseconds')
$$;
