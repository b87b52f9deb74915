-- Names a person at TikTok without holding who it is: the same for every account of ours that they ever were.
CREATE OR REPLACE FUNCTION tiktok_user_of(p_open_id text) RETURNS bytea LANGUAGE sql STABLE AS $$
	SELECT sha256(convert_to(p_open_id, 'UTF8'))
$$;
