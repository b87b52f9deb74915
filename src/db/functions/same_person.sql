-- The live account of a person at TikTok: of this open_id, else of this union_id, which is the same over all apps of one developer. Where
-- several apps of ours made several accounts of one person: the one to be reconnected, else the owner's own, else the oldest.
CREATE OR REPLACE FUNCTION same_person(p_open_id text, p_union_id text, p_owner text, p_reconnect text)
RETURNS TABLE (id text, owner_id text, status text, open_id text) LANGUAGE sql STABLE AS $$
	SELECT a.id, a.owner_id, a.status, a.open_id FROM (
		SELECT o.id, 0 AS place FROM accounts o WHERE o.open_id = p_open_id AND o.status <> 'disconnected'
		UNION ALL
		SELECT p.account_id, 1 FROM profiles p WHERE p.union_id = p_union_id
	) found JOIN accounts a ON a.id = found.id
	WHERE a.status <> 'disconnected'
	ORDER BY found.place, a.id = p_reconnect DESC NULLS LAST, a.owner_id = p_owner DESC, a.id
	LIMIT 1
$$;
