-- Twenty uploads in any 24 hours, held by counting under a lock.
--
-- Every upload has a hold: from its reservation to its expiry, or, once committed, to 24 hours after the commit. TikTok saw the
-- video somewhere between reservation and commit, so the hold covers the 24 hours after that moment, whenever it was. A reservation is
-- given only while fewer holds than the limit stand. Take any 24 hours and, of the uploads in them, the one reserved last: the holds
-- of all the others stood at that moment. So there are never more than the limit. Only a late commit, whose hold had ended
-- when another reservation may have taken its place, can add to them; it is flagged, and it counts for the next 24 hours like any other.
--
-- Why functions: each has to lock first and look afterwards. In one plain statement the count would see the snapshot from before the
-- wait, and two reservations could take the last slot. Why no row per slot, taken with SKIP LOCKED: a row that is locked but stays free
-- makes a refusal that is not true, a late commit past the limit has no row to hold, and a changed limit means making and unmaking
-- rows. Why an advisory lock: a refusal writes nothing then, so somebody who insists costs no flush. It is per person at TikTok
-- (7214002 is ours alone); two people who share a hash wait for each other, nothing worse.
--
-- The clock is read once the lock is had, so that the times of one person never run backwards. A time that ends something is rounded up to
-- the millisecond: callers see no finer, and must not come back a moment too early. Plans are the generic ones: every
-- lookup is by key, and planning it anew would cost more than doing it.

CREATE TYPE "upload_quota" AS (
	"used" integer,
	"reserved" integer,
	"remaining" integer,
	"free_at" timestamptz, -- when as many slots as were asked for are free; null: never
	"closed_until" timestamptz, -- by TikTok's own refusal; null: open
	"closed_by" text
);
--> statement-breakpoint
CREATE FUNCTION tiktok_user_of(p_open_id text) RETURNS bytea LANGUAGE sql STABLE AS $$
	SELECT sha256(convert_to(p_open_id, 'UTF8'))
$$;
--> statement-breakpoint
CREATE FUNCTION ceil_milliseconds(p_at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
	SELECT date_trunc('milliseconds', p_at + interval '999 microseconds')
$$;
--> statement-breakpoint
-- The window of one person at p_at, as known at p_now. Looking ahead, a reservation that stands now is taken to become an upload.
-- Nobody's window (p_tiktok_user null, a disconnected account) has no slots.
CREATE FUNCTION quota_at(p_tiktok_user bytea, p_limit integer, p_now timestamptz, p_at timestamptz, p_count integer)
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
--> statement-breakpoint
CREATE FUNCTION announce_exhaustion(p_tiktok_user bytea, p_account text, p_owner text, p_next_slot_at timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO upload_gates (tiktok_user, exhausted_until) VALUES (p_tiktok_user, p_next_slot_at)
	ON CONFLICT (tiktok_user) DO UPDATE SET exhausted_until = excluded.exhausted_until;
	INSERT INTO events (type, account_id, data) VALUES ('upload_quota.exhausted', p_account, jsonb_build_object('account_id', p_account,
		'owner_id', p_owner, 'next_slot_at', to_char(p_next_slot_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')));
$$;
--> statement-breakpoint
-- outcome: reserved | repeated (the same key and request: the reservation it made) | key_reused | exhausted | account_not_found |
-- account_disconnected | reauthorization_required
--
-- An exhaustion is announced by whoever takes the last slot, once per next_slot_at however often that slot goes back and forth;
-- or by the first refusal, when nobody took the last one because the limit was lowered.
CREATE FUNCTION reserve_upload(p_account text, p_upload text, p_key text, p_ttl_seconds integer, p_limit integer, p_actor text)
RETURNS TABLE (outcome text, upload uploads, quota upload_quota, judged_at timestamptz) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
	person record;
	held record;
	usable boolean;
	expires timestamptz;
BEGIN
	SELECT a.owner_id, a.status, a.status_reason, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id))
	INTO person FROM accounts a WHERE a.id = p_account;
	judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN NEXT;
		RETURN;
	END IF;
	SELECT count(u.committed_at)::integer AS used, count(*)::integer AS total,
		(SELECT g FROM upload_gates g WHERE g.tiktok_user = person.tiktok_user) AS gate INTO held
	FROM uploads u WHERE u.tiktok_user = person.tiktok_user AND u.held_until > judged_at;

	usable := person.status = 'active';
	IF person.status_reason = 'refresh_outcome_unknown' THEN
		-- The present token is still handed out, so it may still be used (F01).
		SELECT t.access_expires_at > judged_at INTO usable FROM token_sets t WHERE t.account_id = p_account;
	END IF;
	IF usable AND held.total < p_limit AND coalesce((held.gate).closed_until <= judged_at, true) THEN
		expires := ceil_milliseconds(judged_at) + make_interval(secs => p_ttl_seconds);
		INSERT INTO uploads AS u (id, account_id, tiktok_user, idempotency_key, ttl_seconds, reserved_by, reserved_at, expires_at, held_until)
		VALUES (p_upload, p_account, person.tiktok_user, p_key, p_ttl_seconds, p_actor, judged_at, expires, expires)
		ON CONFLICT (account_id, idempotency_key) DO NOTHING
		RETURNING u.* INTO upload;
		IF FOUND THEN
			outcome := 'reserved';
		END IF;
	END IF;

	IF outcome = 'reserved' AND held.total + 1 < p_limit THEN
		quota := ROW(held.used, held.total + 1 - held.used, p_limit - held.total - 1, judged_at, NULL, NULL);
		IF (held.gate).exhausted_until <= judged_at THEN
			UPDATE upload_gates g SET exhausted_until = NULL WHERE g.tiktok_user = person.tiktok_user;
		END IF;
		RETURN NEXT;
		RETURN;
	END IF;

	IF outcome IS NULL THEN
		SELECT u.* INTO upload FROM uploads u WHERE u.account_id = p_account AND u.idempotency_key = p_key;
		outcome := CASE
			WHEN upload.ttl_seconds = p_ttl_seconds THEN 'repeated'
			WHEN upload.id IS NOT NULL THEN 'key_reused'
			WHEN usable THEN 'exhausted'
			ELSE 'reauthorization_required'
		END;
	END IF;
	SELECT q.* INTO quota FROM quota_at(person.tiktok_user, p_limit, judged_at, judged_at, 1) q;
	IF (outcome = 'reserved' AND coalesce((held.gate).exhausted_until <= judged_at, true))
		OR (outcome = 'exhausted' AND (held.gate).exhausted_until IS NULL)
	THEN
		PERFORM announce_exhaustion(person.tiktok_user, p_account, person.owner_id, quota.free_at);
	END IF;
	RETURN NEXT;
END $$;
--> statement-breakpoint
-- outcome: committed | repeated | released | publish_id_differs | upload_not_found | account_not_found | account_disconnected
CREATE FUNCTION commit_upload(p_account text, p_upload text, p_publish_id text, p_limit integer, p_actor text, p_request text)
RETURNS TABLE (outcome text, upload uploads, quota upload_quota, judged_at timestamptz) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
	person record;
BEGIN
	SELECT a.status, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id))
	INTO person FROM accounts a WHERE a.id = p_account;
	judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN NEXT;
		RETURN;
	END IF;

	SELECT u.* INTO upload FROM uploads u WHERE u.id = p_upload AND u.account_id = p_account;
	outcome := CASE
		WHEN upload.id IS NULL THEN 'upload_not_found'
		WHEN upload.released_at IS NOT NULL THEN 'released'
		WHEN upload.committed_at IS NULL THEN 'committed'
		WHEN p_publish_id <> upload.publish_id THEN 'publish_id_differs'
		ELSE 'repeated'
	END;
	IF outcome = 'repeated' AND upload.publish_id IS NULL AND p_publish_id IS NOT NULL THEN
		UPDATE uploads u SET publish_id = p_publish_id WHERE u.id = p_upload RETURNING u.* INTO upload;
	ELSIF outcome = 'committed' THEN
		UPDATE uploads u SET committed_at = judged_at, held_until = ceil_milliseconds(judged_at) + interval '24 hours',
			late = u.expires_at <= judged_at, publish_id = p_publish_id
		WHERE u.id = p_upload RETURNING u.* INTO upload;
		INSERT INTO timeline (account_id, kind, code, actor, request_id)
		VALUES (p_account, CASE WHEN upload.late THEN 'upload_committed_late' ELSE 'upload_committed' END, p_publish_id, p_actor, p_request);
		-- TikTok took one: the next refusal is a first one again.
		UPDATE upload_gates g SET refusals = 0
		WHERE g.tiktok_user = person.tiktok_user AND g.refusals > 0 AND g.refused_at <= upload.reserved_at;
	END IF;
	SELECT q.* INTO quota FROM quota_at(person.tiktok_user, p_limit, judged_at, judged_at, 1) q;
	RETURN NEXT;
END $$;
--> statement-breakpoint
-- Gives a slot back. With p_first_wait_seconds TikTok's refusal closes the person's uploads: for that long, doubled with every
-- further refusal of that kind without an upload in between, up to p_last_wait_seconds; with p_until_window_moves not before the oldest upload we know of has left the window.
-- outcome: released | repeated | committed | upload_not_found | account_not_found | account_disconnected
CREATE FUNCTION release_upload(p_account text, p_upload text, p_tiktok_error text, p_first_wait_seconds integer, p_last_wait_seconds integer,
	p_until_window_moves boolean, p_limit integer, p_actor text, p_request text)
RETURNS TABLE (outcome text, upload uploads, quota upload_quota, judged_at timestamptz) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
	person record;
	gate upload_gates;
	refusals_before integer;
	closed timestamptz;
BEGIN
	SELECT a.owner_id, a.status, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id))
	INTO person FROM accounts a WHERE a.id = p_account;
	judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN NEXT;
		RETURN;
	END IF;

	SELECT u.* INTO upload FROM uploads u WHERE u.id = p_upload AND u.account_id = p_account;
	outcome := CASE
		WHEN upload.id IS NULL THEN 'upload_not_found'
		WHEN upload.committed_at IS NOT NULL THEN 'committed'
		WHEN upload.released_at IS NOT NULL THEN 'repeated'
		ELSE 'released'
	END;
	IF outcome = 'released' THEN
		UPDATE uploads u SET released_at = judged_at, held_until = least(u.held_until, judged_at), tiktok_error = p_tiktok_error
		WHERE u.id = p_upload RETURNING u.* INTO upload;
	END IF;
	IF outcome = 'released' AND p_first_wait_seconds IS NOT NULL THEN
		SELECT g.* INTO gate FROM upload_gates g WHERE g.tiktok_user = person.tiktok_user;
		refusals_before := CASE
			WHEN gate.closed_by IS DISTINCT FROM p_tiktok_error THEN 0
			-- Uploads that were under way together are refused together: that is one refusal, not several in a row.
			WHEN upload.reserved_at < gate.refused_at THEN greatest(gate.refusals - 1, 0)
			ELSE gate.refusals
		END;
		closed := ceil_milliseconds(judged_at)
			+ make_interval(secs => least(p_last_wait_seconds, p_first_wait_seconds * 2 ^ least(refusals_before, 16)));
		IF p_until_window_moves THEN
			SELECT greatest(closed, min(u.held_until)) INTO closed
			FROM uploads u WHERE u.tiktok_user = person.tiktok_user AND u.held_until > judged_at AND u.committed_at IS NOT NULL;
		END IF;
		INSERT INTO upload_gates AS g (tiktok_user, closed_until, closed_by, refusals, refused_at)
		VALUES (person.tiktok_user, closed, p_tiktok_error, refusals_before + 1, judged_at)
		ON CONFLICT (tiktok_user) DO UPDATE SET refusals = excluded.refusals,
			refused_at = CASE WHEN upload.reserved_at < g.refused_at THEN g.refused_at ELSE excluded.refused_at END,
			closed_by = CASE WHEN excluded.closed_until >= g.closed_until THEN excluded.closed_by ELSE g.closed_by END,
			closed_until = greatest(g.closed_until, excluded.closed_until);
		INSERT INTO timeline (account_id, kind, code, actor, request_id) VALUES (p_account, 'uploads_closed', p_tiktok_error, p_actor, p_request);
		IF coalesce(gate.closed_until <= judged_at, true) THEN
			PERFORM announce_exhaustion(person.tiktok_user, p_account, person.owner_id, closed);
		END IF;
	END IF;
	SELECT q.* INTO quota FROM quota_at(person.tiktok_user, p_limit, judged_at, judged_at, 1) q;
	RETURN NEXT;
END $$;
