-- What became of a change, with the window and the upload as they stand after it.
CREATE OR REPLACE FUNCTION upload_decided(p_outcome text, p_upload text, p_tiktok_user bytea, p_limit integer, p_at timestamptz)
RETURNS SETOF upload_decision LANGUAGE sql STABLE AS $$
	SELECT p_outcome, p_at, q.used, q.reserved, q.remaining, q.free_at, q.closed_by, u.id, u.reserved_at, u.expires_at, u.committed_at, u.late,
		u.publish_id, u.released_at, u.tiktok_error
	FROM quota_at(p_tiktok_user, p_limit, p_at, p_at, 1) q LEFT JOIN uploads u ON u.id = p_upload
$$;
