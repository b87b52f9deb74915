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
-- What became of a change, the window, and the upload as it then stands (nulls: there is none).
CREATE TYPE "upload_decision" AS (
	"outcome" text,
	"judged_at" timestamptz,
	"used" integer,
	"reserved" integer,
	"remaining" integer,
	"free_at" timestamptz,
	"closed_by" text,
	"id" text,
	"reserved_at" timestamptz,
	"expires_at" timestamptz,
	"committed_at" timestamptz,
	"late" boolean,
	"publish_id" text,
	"released_at" timestamptz,
	"tiktok_error" text
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
CREATE FUNCTION upload_decided(p_outcome text, p_upload text, p_tiktok_user bytea, p_limit integer, p_at timestamptz)
RETURNS SETOF upload_decision LANGUAGE sql STABLE AS $$
	SELECT p_outcome, p_at, q.used, q.reserved, q.remaining, q.free_at, q.closed_by, u.id, u.reserved_at, u.expires_at, u.committed_at, u.late,
		u.publish_id, u.released_at, u.tiktok_error
	FROM quota_at(p_tiktok_user, p_limit, p_at, p_at, 1) q LEFT JOIN uploads u ON u.id = p_upload
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
RETURNS upload_decision LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
	decided upload_decision;
	person record;
	seen record;
	usable boolean;
	expires timestamptz;
BEGIN
	SELECT a.owner_id, a.status, a.status_reason, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id))
	INTO person FROM accounts a WHERE a.id = p_account;
	decided.judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		decided.outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN decided;
	END IF;
	SELECT count(u.committed_at)::integer AS used, count(*)::integer AS held,
		(SELECT g FROM upload_gates g WHERE g.tiktok_user = person.tiktok_user) AS gate,
		(SELECT o FROM uploads o WHERE o.account_id = p_account AND o.idempotency_key = p_key) AS earlier
	INTO seen FROM uploads u WHERE u.tiktok_user = person.tiktok_user AND u.held_until > decided.judged_at;
	usable := person.status = 'active';
	IF person.status_reason = 'refresh_outcome_unknown' THEN
		-- The present token is still handed out, so it may still be used (F01).
		SELECT t.access_expires_at > decided.judged_at INTO usable FROM token_sets t WHERE t.account_id = p_account;
	END IF;
	decided.outcome := CASE
		WHEN (seen.earlier).ttl_seconds = p_ttl_seconds THEN 'repeated'
		WHEN (seen.earlier).id IS NOT NULL THEN 'key_reused'
		WHEN usable IS NOT TRUE THEN 'reauthorization_required'
		WHEN seen.held >= p_limit OR (seen.gate).closed_until > decided.judged_at THEN 'exhausted'
		ELSE 'reserved'
	END;

	IF decided.outcome = 'reserved' THEN
		expires := ceil_milliseconds(decided.judged_at) + make_interval(secs => p_ttl_seconds);
		INSERT INTO uploads (id, account_id, tiktok_user, idempotency_key, ttl_seconds, reserved_by, reserved_at, expires_at, held_until)
		VALUES (p_upload, p_account, person.tiktok_user, p_key, p_ttl_seconds, p_actor, decided.judged_at, expires, expires);
		IF seen.held + 1 < p_limit THEN
			IF (seen.gate).exhausted_until <= decided.judged_at THEN
				UPDATE upload_gates g SET exhausted_until = NULL WHERE g.tiktok_user = person.tiktok_user;
			END IF;
			-- What `upload_decided` would find, without looking again: this is the way that most take.
			RETURN ('reserved', decided.judged_at, seen.used, seen.held + 1 - seen.used, p_limit - seen.held - 1, decided.judged_at, NULL,
				p_upload, decided.judged_at, expires, NULL, false, NULL, NULL, NULL)::upload_decision;
		END IF;
	END IF;
	SELECT d.* INTO decided
	FROM upload_decided(decided.outcome, coalesce((seen.earlier).id, p_upload), person.tiktok_user, p_limit, decided.judged_at) d;
	IF (decided.outcome = 'reserved' AND coalesce((seen.gate).exhausted_until <= decided.judged_at, true))
		OR (decided.outcome = 'exhausted' AND (seen.gate).exhausted_until IS NULL)
	THEN
		PERFORM announce_exhaustion(person.tiktok_user, p_account, person.owner_id, decided.free_at);
	END IF;
	RETURN decided;
END $$;
--> statement-breakpoint
-- outcome: committed | repeated | released | publish_id_differs | upload_not_found | account_not_found | account_disconnected
CREATE FUNCTION commit_upload(p_account text, p_upload text, p_publish_id text, p_limit integer, p_actor text, p_request text)
RETURNS upload_decision LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
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
--> statement-breakpoint
-- Gives a slot back. With p_first_wait_seconds TikTok's refusal closes the person's uploads: for that long, doubled with every
-- further refusal of that kind without an upload in between, up to p_last_wait_seconds; with p_until_window_moves not before the oldest
-- upload we know of has left the window.
-- outcome: released | repeated | committed | upload_not_found | account_not_found | account_disconnected
CREATE FUNCTION release_upload(p_account text, p_upload text, p_tiktok_error text, p_first_wait_seconds integer, p_last_wait_seconds integer,
	p_until_window_moves boolean, p_limit integer, p_actor text, p_request text)
RETURNS upload_decision LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
	decided upload_decision;
	person record;
	present uploads;
	gate upload_gates;
	refusals_before integer;
	closed timestamptz;
BEGIN
	SELECT a.owner_id, a.status, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id))
	INTO person FROM accounts a WHERE a.id = p_account;
	decided.judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		decided.outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN decided;
	END IF;
	SELECT u.* INTO present FROM uploads u WHERE u.id = p_upload AND u.account_id = p_account;
	decided.outcome := CASE
		WHEN present.id IS NULL THEN 'upload_not_found'
		WHEN present.committed_at IS NOT NULL THEN 'committed'
		WHEN present.released_at IS NOT NULL THEN 'repeated'
		ELSE 'released'
	END;

	IF decided.outcome = 'released' THEN
		UPDATE uploads u SET released_at = decided.judged_at, held_until = least(u.held_until, decided.judged_at), tiktok_error = p_tiktok_error
		WHERE u.id = p_upload;
	END IF;
	IF decided.outcome = 'released' AND p_first_wait_seconds IS NOT NULL THEN
		SELECT g.* INTO gate FROM upload_gates g WHERE g.tiktok_user = person.tiktok_user;
		refusals_before := CASE
			WHEN gate.closed_by IS DISTINCT FROM p_tiktok_error THEN 0
			-- Uploads that were under way together are refused together: that is one refusal, not several in a row.
			WHEN present.reserved_at < gate.refused_at THEN greatest(gate.refusals - 1, 0)
			ELSE gate.refusals
		END;
		closed := ceil_milliseconds(decided.judged_at)
			+ make_interval(secs => least(p_last_wait_seconds, p_first_wait_seconds * 2 ^ least(refusals_before, 16)));
		IF p_until_window_moves THEN
			SELECT greatest(closed, min(u.held_until)) INTO closed
			FROM uploads u WHERE u.tiktok_user = person.tiktok_user AND u.held_until > decided.judged_at AND u.committed_at IS NOT NULL;
		END IF;
		INSERT INTO upload_gates AS g (tiktok_user, closed_until, closed_by, refusals, refused_at)
		VALUES (person.tiktok_user, closed, p_tiktok_error, refusals_before + 1, decided.judged_at)
		ON CONFLICT (tiktok_user) DO UPDATE SET refusals = excluded.refusals,
			refused_at = CASE WHEN present.reserved_at < g.refused_at THEN g.refused_at ELSE excluded.refused_at END,
			closed_by = CASE WHEN excluded.closed_until >= g.closed_until THEN excluded.closed_by ELSE g.closed_by END,
			closed_until = greatest(g.closed_until, excluded.closed_until);
		INSERT INTO timeline (account_id, kind, code, actor, request_id) VALUES (p_account, 'uploads_closed', p_tiktok_error, p_actor, p_request);
		IF coalesce(gate.closed_until <= decided.judged_at, true) THEN
			PERFORM announce_exhaustion(person.tiktok_user, p_account, person.owner_id, closed);
		END IF;
	END IF;
	SELECT d.* INTO decided FROM upload_decided(decided.outcome, present.id, person.tiktok_user, p_limit, decided.judged_at) d;
	RETURN decided;
END $$;
