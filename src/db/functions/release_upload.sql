-- Gives a slot back. p_release holds account_id, upload_id, tiktok_error, first_wait_seconds, last_wait_seconds,
-- until_window_moves, upload_limit, actor and request_id.
--
-- With first_wait_seconds TikTok's refusal closes the person's uploads for that long. The wait doubles with every further refusal
-- of that kind without an upload in between, up to last_wait_seconds. With until_window_moves it ends no earlier than the oldest
-- upload we know of leaves the window.
--
-- An error that is told only after the release is believed as well, once.
-- outcome: released (now, or with its error now) | repeated | committed | upload_not_found | account_not_found | account_disconnected
CREATE OR REPLACE FUNCTION release_upload(p_release jsonb)
RETURNS upload_decision LANGUAGE plpgsql AS $$
DECLARE
	decided upload_decision;
	told record;
	person record;
	present uploads;
	gate upload_gates;
	refusals_before integer;
	closed timestamptz;
BEGIN
	SELECT r.* INTO STRICT told FROM jsonb_to_record(p_release) AS r(account_id text, upload_id text, tiktok_error text,
		first_wait_seconds integer, last_wait_seconds integer, until_window_moves boolean, upload_limit integer, actor text, request_id text);
	SELECT a.owner_id, a.status, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id))
	INTO person FROM accounts a WHERE a.id = told.account_id;
	decided.judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		decided.outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN decided;
	END IF;
	SELECT u.* INTO present FROM uploads u WHERE u.id = told.upload_id AND u.account_id = told.account_id;
	decided.outcome := CASE
		WHEN present.id IS NULL THEN 'upload_not_found'
		WHEN present.committed_at IS NOT NULL THEN 'committed'
		WHEN present.released_at IS NOT NULL AND (present.tiktok_error IS NOT NULL OR told.tiktok_error IS NULL) THEN 'repeated'
		ELSE 'released'
	END;

	IF decided.outcome = 'released' THEN
		UPDATE uploads u SET released_at = coalesce(u.released_at, decided.judged_at), held_until = least(u.held_until, decided.judged_at),
			tiktok_error = told.tiktok_error
		WHERE u.id = told.upload_id;
	END IF;
	IF decided.outcome = 'released' AND told.first_wait_seconds IS NOT NULL THEN
		SELECT g.* INTO gate FROM upload_gates g WHERE g.tiktok_user = person.tiktok_user;
		refusals_before := CASE
			WHEN gate.closed_by IS DISTINCT FROM told.tiktok_error THEN 0
			-- Uploads that were under way together are refused together: that is one refusal, not several in a row.
			WHEN present.reserved_at < gate.refused_at THEN greatest(gate.refusals - 1, 0)
			ELSE gate.refusals
		END;
		closed := ceil_milliseconds(decided.judged_at)
			+ make_interval(secs => least(told.last_wait_seconds, told.first_wait_seconds * 2 ^ least(refusals_before, 16)));
		IF told.until_window_moves THEN
			SELECT greatest(closed, min(u.held_until)) INTO closed
			FROM uploads u WHERE u.tiktok_user = person.tiktok_user AND u.held_until > decided.judged_at AND u.committed_at IS NOT NULL;
		END IF;
		INSERT INTO upload_gates AS g (tiktok_user, closed_until, closed_by, refusals, refused_at)
		VALUES (person.tiktok_user, closed, told.tiktok_error, refusals_before + 1, decided.judged_at)
		ON CONFLICT (tiktok_user) DO UPDATE SET refusals = excluded.refusals,
			refused_at = CASE WHEN present.reserved_at < g.refused_at THEN g.refused_at ELSE excluded.refused_at END,
			closed_by = CASE WHEN excluded.closed_until >= g.closed_until THEN excluded.closed_by ELSE g.closed_by END,
			closed_until = greatest(g.closed_until, excluded.closed_until);
		INSERT INTO timeline (account_id, kind, code, actor, request_id) VALUES (told.account_id, 'uploads_closed', told.tiktok_error, told.actor, told.request_id);
		IF coalesce(gate.closed_until <= decided.judged_at, true) THEN
			PERFORM announce_exhaustion(person.tiktok_user, told.account_id, person.owner_id, closed);
		END IF;
	END IF;
	SELECT d.* INTO decided FROM upload_decided(decided.outcome, present.id, person.tiktok_user, told.upload_limit, decided.judged_at) d;
	RETURN decided;
END $$;
