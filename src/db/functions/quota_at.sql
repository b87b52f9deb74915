-- The upload window of one person at p_at, as known at p_now. Looking ahead, a live reservation is taken to become an upload.
-- Nobody's window (p_tiktok_user null: a disconnected account) has no slots.
CREATE OR REPLACE FUNCTION quota_at(p_tiktok_user bytea, p_limit integer, p_now timestamptz, p_at timestamptz, p_count integer)
RETURNS SETOF upload_quota LANGUAGE sql STABLE AS $$
	SELECT holds.used, holds.reserved,
		CASE WHEN p_tiktok_user IS NULL OR gate.closed_until > p_at THEN 0 ELSE greatest(0, p_limit - holds.used - holds.reserved) END,
		CASE WHEN p_tiktok_user IS NOT NULL AND p_count <= p_limit
			THEN greatest(p_at, gate.closed_until, holds.ends[holds.used + holds.reserved - p_limit + p_count]) END,
		CASE WHEN gate.closed_until > p_at THEN gate.closed_until END,
		CASE WHEN gate.closed_until > p_at THEN gate.closed_by END
	FROM (
		SELECT count(*) FILTER (WHERE hold.committed)::integer AS used, count(*) FILTER (WHERE NOT hold.committed)::integer AS reserved,
			array_agg(hold.ends_at ORDER BY hold.ends_at) AS ends
		FROM (
			SELECT u.committed_at IS NOT NULL AS committed,
				u.held_until + CASE WHEN p_at > p_now AND u.committed_at IS NULL THEN interval '24 hours' ELSE interval '0' END AS ends_at
			FROM uploads u WHERE u.tiktok_user = p_tiktok_user AND u.held_until > p_now
		) hold
		WHERE hold.ends_at > p_at
	) holds LEFT JOIN upload_gates gate ON gate.tiktok_user = p_tiktok_user
$$;
