-- Twenty uploads in any 24 hours, held by counting under a lock.
--
-- Every upload has a hold: from its reservation to its expiry, or, once committed, to 24 hours after the commit. TikTok saw the
-- video somewhere between the two, so a hold covers the 24 hours after that moment, whenever it was. A reservation is given only
-- while fewer holds than the limit stand. Take any 24 hours and the upload in them that was reserved last: the holds of all
-- the others in them stood at that moment. So there are never more than the limit; only a late commit, whose hold had
-- ended, can add to them, and it is flagged.
--
-- Why functions: each has to lock first and look afterwards. In one plain statement the count would see the snapshot from before
-- the wait, and two reservations could take the last slot. Why no slot rows with SKIP LOCKED: a row that is locked but stays free
-- makes a refusal that is not true, a late commit past the limit has no row to hold, and a changed limit means making and
-- unmaking rows; the lock is held no longer than the lock of a row would be.
--
-- The clock is read after the lock was had, so that times of one account never run backwards. Times that end something are
-- rounded up to the millisecond: a caller sees no finer, and must not come back a moment too early.

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
