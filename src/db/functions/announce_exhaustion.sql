-- Announces that a person has no upload slot left, and remembers for which next_slot_at, so that it is announced once.
CREATE OR REPLACE FUNCTION announce_exhaustion(p_tiktok_user bytea, p_account text, p_owner text, p_next_slot_at timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO upload_gates (tiktok_user, exhausted_until) VALUES (p_tiktok_user, p_next_slot_at)
	ON CONFLICT (tiktok_user) DO UPDATE SET exhausted_until = excluded.exhausted_until;
	INSERT INTO events (type, account_id, data) VALUES ('upload_quota.exhausted', p_account, jsonb_build_object('account_id', p_account,
		'owner_id', p_owner, 'next_slot_at', to_char(p_next_slot_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')));
$$;
