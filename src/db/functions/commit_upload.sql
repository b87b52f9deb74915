-- The video is at TikTok: its slot stays taken for 24 hours from now. reserve_upload.sql says why the counting holds.
-- outcome: committed | repeated | released | publish_id_differs | upload_not_found | account_not_found | account_disconnected
CREATE OR REPLACE FUNCTION commit_upload(p_account text, p_upload text, p_publish_id text, p_limit integer, p_actor text, p_request text)
RETURNS upload_decision LANGUAGE plpgsql AS $$
DECLARE
	decided upload_decision;
	person record;
	present uploads;
BEGIN
	SELECT a.status, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id))
	INTO person FROM accounts a WHERE a.id = p_account;
	decided.judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		decided.outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN decided;
	END IF;
	SELECT u.* INTO present FROM uploads u WHERE u.id = p_upload AND u.account_id = p_account;
	decided.outcome := CASE
		WHEN present.id IS NULL THEN 'upload_not_found'
		WHEN present.released_at IS NOT NULL THEN 'released'
		WHEN present.committed_at IS NULL THEN 'committed'
		WHEN p_publish_id <> present.publish_id THEN 'publish_id_differs'
		ELSE 'repeated'
	END;

	IF decided.outcome = 'repeated' THEN
		UPDATE uploads u SET publish_id = p_publish_id WHERE u.id = p_upload AND u.publish_id IS NULL AND p_publish_id IS NOT NULL;
	ELSIF decided.outcome = 'committed' THEN
		UPDATE uploads u SET committed_at = decided.judged_at, held_until = ceil_milliseconds(decided.judged_at) + interval '24 hours',
			late = present.expires_at <= decided.judged_at, publish_id = p_publish_id
		WHERE u.id = p_upload;
		INSERT INTO timeline (account_id, kind, code, actor, request_id)
		VALUES (p_account, CASE WHEN present.expires_at <= decided.judged_at THEN 'upload_committed_late' ELSE 'upload_committed' END,
			p_publish_id, p_actor, p_request);
		-- TikTok took one: the next refusal is a first one again.
		UPDATE upload_gates g SET refusals = 0
		WHERE g.tiktok_user = person.tiktok_user AND g.refusals > 0 AND g.refused_at <= present.reserved_at;
	END IF;
	SELECT d.* INTO decided FROM upload_decided(decided.outcome, present.id, person.tiktok_user, p_limit, decided.judged_at) d;
	RETURN decided;
END $$;
