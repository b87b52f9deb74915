// A database as it looks after a year: rows by the hundred thousand in every table that grows, made by the server itself. Nobody
// reads their secrets, so nothing in them is sealed; accounts that are to be read come from seed.ts.
import type postgres from 'postgres'

/**
 * Several tables at a time, so `sql` wants a few connections.
 *
 * @param count how many accounts; the other tables have rows in proportion
 */
export async function fillTables(sql: postgres.Sql, count: number): Promise<void> {
  const n = sql`generate_series(1, ${count}) n`
  const fill = (...statements: postgres.PendingQuery<postgres.Row[]>[]) =>
    sql.begin(async (sql) => {
      await sql`set local session_replication_role = replica` // what refers to what is right by construction
      for (const statement of statements) await sql`${statement}`
    })
  await Promise.all([
    fill(
      sql`insert into owners (id) select 'many_' || n from generate_series(1, ${count} / 2 + 1) n`,
      sql`
      insert into accounts (id, owner_id, open_id, sealed_identity, status, status_reason, account_type, attested_at, attestation_version, age_confirmed_at, scopes, profile_due_at, disconnected_at)
      select 'acc_many' || n, 'many_' || n / 2 + 1, case when n % 50 = 0 then null else 'open_' || n end, repeat('i', 120),
        case when n % 50 = 0 then 'disconnected' when n % 50 = 1 then 'reauthorization_required' else 'active' end,
        case when n % 50 = 0 then 'disconnected_by_owner' when n % 50 = 1 then 'refresh_token_rejected' end, 'creator', now(), '2026-11', now(),
        '{user.info.basic,user.info.profile,user.info.stats,video.upload}', now() + make_interval(secs => n % 86400), case when n % 50 = 0 then now() end
      from ${n}`,
    ),
    fill(
      sql`
      insert into token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, sealed_expiry, access_expires_at, refresh_expires_at, lifetime_seconds, saved_attempt_id, due_at)
      select 'acc_many' || n, 1 + n % 100, 'client', repeat('a', 180), repeat('r', 180), repeat('e', 90), now() + make_interval(secs => n % 86400),
        now() + make_interval(days => 1 + n % 364), 86400, 'att_' || n, now() + make_interval(secs => 3600 + n % 80000)
      from ${n} where n % 50 <> 0`,
    ),
    fill(
      sql`
      insert into profiles (account_id, union_id, username, display_name, follower_count)
      select 'acc_many' || n, 'union_' || n, 'user' || n, 'Person ' || n, n from ${n} where n % 50 <> 0`,
    ),
    fill(
      sql`
      insert into connect_sessions (id, link_secret_hash, owner_id, return_url, completion, status, account_id, created_by, rights, created_at, expires_at)
      select 'cs_many' || n, 'hash_' || n, 'many_' || n / 2 + 1, 'https://example.com/return', 'confirm', 'completed', 'acc_many' || n, 'key_many', '{}', now() - make_interval(secs => n * 70), now() - make_interval(secs => n * 70)
      from ${n}`,
      sql`
      insert into authorization_requests (state_hash, session_id, binding_hash, created_at, expires_at)
      select 'state_' || n, 'cs_many' || n, 'binding', now() - make_interval(secs => n * 70), now() - make_interval(secs => n * 70) from ${n}`,
    ),
    fill(
      sql`
      insert into events (type, account_id, data, occurred_at)
      select 'account.connected', 'acc_many' || n, '{}', now() - make_interval(secs => n * 25) from ${n}`,
      sql`
      insert into event_endpoints (id, origin, fingerprint, xid, seq) values ('endpoint_many', 'https://example.com', 'fingerprint', '0', 0)`,
      sql`
      insert into deliveries (event_id, endpoint_id, delivered_at, next_attempt_at)
      select id, 'endpoint_many', occurred_at, occurred_at from events where account_id like 'acc_many%'`,
    ),
    fill(
      sql`
      insert into notices (body_hash, event, account_id, said_at, received_at, settled_at, outcome)
      select 'notice_' || n, 'authorization.removed', 'acc_many' || n, now() - make_interval(secs => n * 25), now() - make_interval(secs => n * 25), now(), 'done' from ${n}`,
    ),
    fill(
      sql`
      insert into uploads (id, account_id, tiktok_user, idempotency_key, caller, ttl_seconds, reserved_by, reserved_at, expires_at, held_until, committed_at)
      select 'upl_many' || n, 'acc_many' || n, sha256(('open_' || n)::bytea), 'job', 'uploads', 1800, 'key_many', now() - make_interval(secs => n % 86400), now() - make_interval(secs => n % 86400),
        now() - make_interval(secs => n % 86400) + interval '1 day', now() - make_interval(secs => n % 86400)
      from ${n}`,
      sql`
      insert into upload_gates (tiktok_user) select sha256(('open_' || n)::bytea) from ${n} where n % 100 = 0`,
    ),
    fill(
      sql`
      insert into token_reads (at, account_id, key_id, generation, request_id)
      select now() - make_interval(secs => n), 'acc_many' || n, 'key_many', 1, 'req_' || n from ${n}`,
    ),
    fill(
      sql`
      insert into timeline (at, account_id, kind, actor, generation)
      select now() - make_interval(secs => n), 'acc_many' || n, 'refreshed', 'service', 1 from ${n}`,
    ),
    fill(
      sql`
      insert into audit_log (at, actor, action, object) select now() - make_interval(secs => n), 'key_many', 'tier_set', 'owner:' || n from ${n}`,
      sql`
      insert into read_windows (key_id, account_id, read_at) select 'key_many', 'acc_many' || n, now() from ${n}`,
      sql`
      insert into read_totals (key_id, accounts) select 'key_many' || n, 1 from ${n}`,
      sql`
      insert into refusals (endpoint, account_id, generation, refused_at)
      select 'token_refused', 'acc_many' || n, 1, now() - make_interval(secs => n) from ${n} where n % 1000 = 1`,
    ),
  ])
  await sql`analyze`
}
