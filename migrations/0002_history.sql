-- The functions through which history moves: locking heads, appending to the log, the journal's commit, authority
-- changes, narrowing from the data plane, refunds and leases. All belong to the owner and run with its rights, since
-- the application roles may do none of this by themselves; row-level security binds them all the same.
--
-- Rules of this file. A function that reads anything besides heads first locks the heads, in a statement of its own:
-- one statement that did both would see the new revision beside old rows. Heads are locked in tenant order, FOR NO
-- KEY UPDATE. Hashes are SHA-256; formats are those of the audit package:
--   genesis  SHA-256("writ-genesis" 0x00 tenant(16) epoch(8))
--   link     SHA-256(previous(32) sequence(8) committed microseconds(8) leaf(32))
--   node     SHA-256(0x01 left(32) right(32))
-- Sequences start at 1, so the sequence of a head is also the size of its tree.

CREATE FUNCTION writ_instance() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$;

-- How many revisions back a reader may be and still follow by changes instead of loading everything.
CREATE FUNCTION writ_changes_kept() RETURNS int8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 10000::int8 $$;

CREATE FUNCTION writ_now_us() RETURNS int8 LANGUAGE sql VOLATILE
  AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8 $$;

CREATE FUNCTION writ_genesis(p_tenant uuid, p_epoch int8) RETURNS bytea LANGUAGE sql IMMUTABLE
  AS $$ SELECT sha256('writ-genesis'::bytea || '\x00'::bytea || uuid_send(p_tenant) || int8send(p_epoch)) $$;

-- Makes the partitions of this month and the coming ones. A month whose rows already lie in the default partition
-- is left there.
CREATE FUNCTION writ_make_partitions(p_months int4) RETURNS int4
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  month timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
  name text;
  from_us int8;
  to_us int8;
  made int4 := 0;
BEGIN
  FOR offset_months IN 0..p_months LOOP
    from_us := (extract(epoch FROM (month + make_interval(months => offset_months)) AT TIME ZONE 'UTC') * 1000000)::int8;
    to_us := (extract(epoch FROM (month + make_interval(months => offset_months + 1)) AT TIME ZONE 'UTC') * 1000000)::int8;
    name := 'audit_event_' || to_char(month + make_interval(months => offset_months), 'YYYY_MM');
    CONTINUE WHEN to_regclass(name) IS NOT NULL;
    BEGIN
      EXECUTE format('CREATE TABLE %I PARTITION OF audit_event FOR VALUES FROM (%s) TO (%s)', name, from_us, to_us);
      EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
      made := made + 1;
    EXCEPTION WHEN check_violation THEN
      -- Rows of this month are in the default partition, where they are as good.
      NULL;
    END;
  END LOOP;
  RETURN made;
END $$;

-- Takes the heads of these tenants for the rest of the transaction, and lets it see their rows besides those that it
-- sees already. Missing tenants are
-- missing in the answer.
CREATE FUNCTION writ_lock_heads(p_tenants uuid[])
  RETURNS TABLE (tenant_id uuid, epoch int8, revision int8, sequence int8, hash bytea)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM set_config('writ.tenants',
    concat_ws(',', nullif(current_setting('writ.tenants', true), ''), array_to_string(p_tenants, ',')), true);
  RETURN QUERY SELECT h.tenant_id, h.epoch, h.revision, h.sequence, h.hash FROM tenant_head h
    WHERE h.tenant_id = ANY (p_tenants) ORDER BY h.tenant_id FOR NO KEY UPDATE;
END $$;

-- What a log gains by these leaves, 32 bytes each: the link of every one of them, 32 bytes each, then the frontier.
-- A perfect subtree of eight leaves is one expression: it is their number that costs here, not the hashes.
CREATE FUNCTION writ_grow(p_hash bytea, p_frontier bytea, p_size int8, p_committed_us int8, p_leaves bytea)
  RETURNS bytea LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  prefix constant bytea := '\x01';
  time_bytes constant bytea := int8send(p_committed_us);
  leaves constant int4 := length(p_leaves) / 32;
  links bytea := p_hash;
  frontier bytea := p_frontier;
  done int4 := 0;
  at int4;
  node bytea;
  -- Of the subtree in `node`, counted in subtrees of its own size: as many odd steps as it closes larger ones.
  place int8;
BEGIN
  FOR leaf IN 1..leaves LOOP
    links := links || sha256(substr(links, leaf * 32 - 31) || int8send(p_size + leaf) || time_bytes
      || substr(p_leaves, leaf * 32 - 31, 32));
  END LOOP;
  WHILE done < leaves LOOP
    at := done * 32 + 1;
    place := p_size + done;
    IF leaves - done >= 8 AND place & 7 = 0 THEN
      node := sha256(prefix
        || sha256(prefix || sha256(prefix || substr(p_leaves, at, 64)) || sha256(prefix || substr(p_leaves, at + 64, 64)))
        || sha256(prefix || sha256(prefix || substr(p_leaves, at + 128, 64))
          || sha256(prefix || substr(p_leaves, at + 192, 64))));
      place := place >> 3;
      done := done + 8;
    ELSE
      node := substr(p_leaves, at, 32);
      done := done + 1;
    END IF;
    WHILE place & 1 = 1 LOOP
      node := sha256(prefix || substr(frontier, length(frontier) - 31) || node);
      frontier := substr(frontier, 1, length(frontier) - 32);
      place := place >> 1;
    END LOOP;
    frontier := frontier || node;
  END LOOP;
  RETURN substr(links, 33) || frontier;
END $$;

-- Appends these events, in order, to the log of one tenant, and locks its head when the caller has not. Times never go
-- back within a log. Not granted to anyone: other functions of this file decide what is appended. p_salt: of the call
-- whose decision is the first event.
CREATE FUNCTION writ_append(
  p_tenant uuid, p_events text[], p_leaves bytea, p_salt bytea,
  OUT epoch int8, OUT revision int8, OUT sequence int8, OUT hash bytea, OUT committed_us int8
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  events constant int4 := cardinality(p_events);
  head record;
  now_us int8;
  grown bytea;
BEGIN
  SELECT h.* INTO head FROM tenant_head h WHERE h.tenant_id = p_tenant FOR NO KEY UPDATE;
  IF head.tenant_id IS NULL THEN
    RAISE EXCEPTION 'tenant % has no head', p_tenant USING ERRCODE = 'WR002';
  END IF;
  epoch := head.epoch;
  revision := head.revision;
  sequence := head.sequence;
  hash := head.hash;
  committed_us := head.last_committed_us;
  IF events = 0 THEN
    RETURN;
  END IF;
  now_us := greatest(head.last_committed_us, writ_now_us());
  grown := writ_grow(head.hash, head.frontier, head.sequence, now_us, p_leaves);
  INSERT INTO audit_event (tenant_id, epoch, sequence, committed_us, event, leaf, hash, salt)
    SELECT p_tenant, head.epoch, head.sequence + e.ordinal, now_us, e.event,
      substr(p_leaves, e.ordinal::int4 * 32 - 31, 32), substr(grown, e.ordinal::int4 * 32 - 31, 32),
      CASE e.ordinal WHEN 1 THEN p_salt END
    FROM unnest(p_events) WITH ORDINALITY AS e(event, ordinal);
  sequence := head.sequence + events;
  hash := substr(grown, events * 32 - 31, 32);
  committed_us := now_us;
  UPDATE tenant_head h
    SET sequence = head.sequence + events, hash = substr(grown, events * 32 - 31, 32),
      frontier = substr(grown, events * 32 + 1), last_committed_us = now_us
    WHERE h.tenant_id = p_tenant;
END $$;

-- Makes the salts of these entries unreadable for ever, and with them the digests of their calls. The log stays as it is.
CREATE FUNCTION writ_erase_salts(p_tenant uuid, p_epoch int8, p_sequences int8[]) RETURNS int4
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  erased int4;
BEGIN
  UPDATE audit_event a SET salt = NULL
    WHERE a.tenant_id = p_tenant AND a.epoch = p_epoch AND a.sequence = ANY (p_sequences) AND a.salt IS NOT NULL;
  GET DIAGNOSTICS erased = ROW_COUNT;
  RETURN erased;
END $$;

-- One batch of the journal, in one round trip: everything below happens or nothing. Entries are grouped by tenant, in
-- tenant order; places and numbers count from 1.
--   p_valid_until  milliseconds: the least validity of an allow; 0 when entries must be looked at one by one anyway.
--   t_*   one element a tenant. t_lasts: the place of its last entry. t_bound: the revision that its decisions were made
--         on, or -1. t_epochs: the epoch that the state was loaded on; t_sequences, t_revisions, t_hashes: the highest
--         head that the caller remembers (-1: none). A head behind it is regressed.
--   e_*   one element an entry. e_events: joined by line feeds. e_leaves: 32 bytes each. e_salts: 16 bytes each (zeros:
--         none), or null.
--   o_*   one element a call that ends. o_entries: its entry. o_outcomes: 1 completed, 2 failed, 3 aborted, 4 unknown;
--         6 to 8 are 1 to 3 of a call recorded as unknown. o_rare: some are 3, 4 or 8.
--   a_*   one element a call that opens, in the order of the entries. a_holds: the number of what it claims.
--   h_firsts, k_*: what is claimed, once for all calls that claim the same. The claims of hold n are those from
--         h_firsts[n] to before h_firsts[n + 1]. k_counters: 16 bytes each.
--   s_*   one element a counter that is claimed (16 bytes each): all that is claimed of it, in the newest window and
--         under the least limit of its claims. s_roots: 16 bytes each (zeros: no holder could name this counter).
--         s_nodes_max: how many counters there may be below that root.
--   p_soft    counters whose totals and windows after the batch the answer shall tell.
--   p_detail  read only when entries must be looked at one by one. Parts, joined by semicolons: the entries' kinds
--             (r record, a allow, o outcome, u unknown outcome, d denial, e allow that is over at once, l late outcome,
--             w shares the fate of the entry before it), their revisions (-1: bound to none), validity, calls (as a
--             place in o_calls, 0 for none) and holds (0 for none); the counter, limit and s_nodes_max of each claim; the
--             number of each counter's root (0 for none).
-- The answer has parts, joined by bars: the database's clock in milliseconds; the tenants' epochs, revisions, sequences,
-- commit times and hashes after the batch; statuses (empty: all of them 0); for refused entries which of their claims
-- it was, and what is left of it; totals and windows of p_soft.
-- Statuses: 0 committed, 1 stale, 2 expired, 3 refused, 4 refused_nodes, 5 late (recorded as unknown before: nothing was
-- appended, say it by 6 to 8), 6 absent, 7 regressed.
--
-- What a batch costs is mostly the number of plan nodes and expressions that must be made ready in each transaction, not
-- what they do to rows. So a batch of which nothing is refused takes three statements: the lock, what has to be known,
-- and what is written. Where something is refused, the batch is reduced to what is committed, and written as any other.
CREATE FUNCTION writ_journal_commit(
  p_batch uuid, p_gateway uuid, p_valid_until int8,
  t_ids uuid[], t_lasts int4[], t_bound int8[], t_epochs int8[], t_sequences int8[], t_revisions int8[], t_hashes bytea,
  e_tenants int4[], e_events text, e_leaves bytea, e_salts bytea,
  o_entries int4[], o_calls uuid[], o_outcomes int4[], o_rare boolean,
  a_tenants int4[], a_calls uuid[], a_holds int4[],
  h_firsts int4[], k_counters bytea, k_windows int8[], k_amounts int8[],
  s_tenants int4[], s_counters bytea, s_roots bytea, s_windows int8[], s_amounts int8[], s_limits int8[],
  s_nodes_max int4[], p_soft int4[], p_detail text
)
  RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
AS $$
DECLARE
  no_root constant bytea := '\x00000000000000000000000000000000';
  setting text;
  ids uuid[];
  epochs int8[];
  revisions int8[];
  sequences int8[];
  head_hashes bytea[];
  frontiers bytea[];
  committed int8[];
  now_us int8;
  now_ms int8;
  -- Whether no entry has to be looked at by itself.
  plain boolean;
  fits boolean;
  -- The entries whose call was found and ended.
  ends int4[];
  rare_ends int4[];
  statuses int4[];
  refused_claims int4[];
  remaining int8[];
  soft_totals int8[];
  soft_windows int8[];
  detail text[];
  kinds text;
  calls uuid[];
  entry_revisions int8[];
  entry_valid int8[];
  entry_calls int4[];
  entry_holds int4[];
  claim_slots int4[];
  claim_limits int8[];
  claim_nodes int4[];
  slot_roots int4[];
  slot_totals int8[];
  slot_known boolean[];
  slot_taken int8[];
  root_counts int8[];
  wanted_roots int8[];
  states int4[];
  kind text;
  status int4;
  slot int4;
  grown bytea;
  links bytea := '';
  hashes bytea := '';
  offsets int8[];
  before int4 := 0;
  gained int4;
BEGIN
  setting := set_config('writ.tenants', array_to_string(t_ids, ','), true);
  IF cardinality(t_ids) = 1 THEN
    SELECT ARRAY[h.tenant_id], ARRAY[h.epoch], ARRAY[h.revision], ARRAY[h.sequence], ARRAY[h.hash], ARRAY[h.frontier],
        ARRAY[h.last_committed_us]
      INTO ids, epochs, revisions, sequences, head_hashes, frontiers, committed
      FROM tenant_head h WHERE h.tenant_id = t_ids[1] FOR NO KEY UPDATE;
  ELSE
    SELECT array_agg(h.tenant_id), array_agg(h.epoch), array_agg(h.revision), array_agg(h.sequence), array_agg(h.hash),
        array_agg(h.frontier), array_agg(h.last_committed_us)
      INTO ids, epochs, revisions, sequences, head_hashes, frontiers, committed
      FROM (
        SELECT l.* FROM tenant_head l WHERE l.tenant_id = ANY (t_ids) ORDER BY l.tenant_id FOR NO KEY UPDATE
      ) AS h;
  END IF;
  now_us := writ_now_us();
  now_ms := now_us / 1000;
  plain := p_valid_until >= now_ms AND ids = t_ids;
  FOR tenant IN 1..cardinality(t_ids) LOOP
    plain := plain AND t_bound[tenant] IN (-1, revisions[tenant])
      AND (t_epochs[tenant] = -1 OR (epochs[tenant] = t_epochs[tenant] AND sequences[tenant] = t_sequences[tenant]
        AND head_hashes[tenant] = substr(t_hashes, tenant * 32 - 31, 32) AND revisions[tenant] >= t_revisions[tenant]));
  END LOOP;

  IF plain IS NOT TRUE THEN
    plain := false;
    IF ids IS DISTINCT FROM t_ids THEN
      SELECT array_agg(epochs[a.at] ORDER BY a.tenant), array_agg(revisions[a.at] ORDER BY a.tenant),
          array_agg(sequences[a.at] ORDER BY a.tenant),
          array_agg(coalesce(head_hashes[a.at], no_root || no_root) ORDER BY a.tenant),
          array_agg(frontiers[a.at] ORDER BY a.tenant), array_agg(committed[a.at] ORDER BY a.tenant)
        INTO epochs, revisions, sequences, head_hashes, frontiers, committed
        FROM (
          SELECT t AS tenant, array_position(ids, t_ids[t]) AS at FROM generate_series(1, cardinality(t_ids)) AS t
        ) AS a;
    END IF;
    FOR tenant IN 1..cardinality(t_ids) LOOP
      -- 0 usable, 1 its epoch is newer than the state, 6 absent, 7 regressed.
      states[tenant] := CASE
        WHEN epochs[tenant] IS NULL THEN 6
        WHEN t_epochs[tenant] < 0 THEN 0
        WHEN epochs[tenant] > t_epochs[tenant] THEN 1
        WHEN epochs[tenant] < t_epochs[tenant] OR sequences[tenant] < t_sequences[tenant]
          OR revisions[tenant] < t_revisions[tenant]
          OR (sequences[tenant] = t_sequences[tenant]
            AND head_hashes[tenant] <> substr(t_hashes, tenant * 32 - 31, 32))
          -- Others have written since; a copy that was restored and outgrew the mark has another entry where it stands.
          OR (sequences[tenant] > t_sequences[tenant] AND t_sequences[tenant] > 0 AND NOT EXISTS (
            SELECT FROM audit_event a WHERE a.tenant_id = t_ids[tenant] AND a.epoch = epochs[tenant]
              AND a.sequence = t_sequences[tenant] AND a.hash = substr(t_hashes, tenant * 32 - 31, 32))) THEN 7
        ELSE 0 END;
    END LOOP;
    detail := string_to_array(p_detail, ';');
    entry_revisions := detail[2];
    entry_valid := detail[3];
    SELECT array_agg(CASE
        WHEN states[e_tenants[e]] >= 6 THEN states[e_tenants[e]]
        WHEN entry_revisions[e] >= 0 AND (states[e_tenants[e]] = 1 OR entry_revisions[e] <> revisions[e_tenants[e]]) THEN 1
        WHEN entry_valid[e] < now_ms THEN 2
        ELSE 0 END ORDER BY e)
      INTO statuses FROM generate_series(1, cardinality(e_tenants)) AS e;
    calls := o_calls;
    SELECT coalesce(array_agg(o_entries[o] ORDER BY o), '{}'), coalesce(array_agg(o_calls[o] ORDER BY o), '{}'),
        coalesce(array_agg(o_outcomes[o] ORDER BY o), '{}')
      INTO o_entries, o_calls, o_outcomes
      FROM generate_series(1, cardinality(o_calls)) AS o WHERE statuses[o_entries[o]] = 0;
  END IF;

  -- Outcomes first: what they give back is there for the allows of the same batch.
  IF o_rare THEN
    WITH doubted AS (
      UPDATE open_call c SET state = 'unknown' FROM generate_series(1, cardinality(o_calls)) AS o
      WHERE o_outcomes[o] = 4 AND c.tenant_id = t_ids[e_tenants[o_entries[o]]] AND c.call_id = o_calls[o]
        AND c.state = 'open'
      RETURNING o_entries[o] AS entry
    ), undone AS (
      DELETE FROM open_call c USING generate_series(1, cardinality(o_calls)) AS o
      WHERE o_outcomes[o] IN (3, 8) AND c.tenant_id = t_ids[e_tenants[o_entries[o]]] AND c.call_id = o_calls[o]
        AND c.state = CASE o_outcomes[o] WHEN 3 THEN 'open' ELSE 'unknown' END::call_state
      RETURNING o_entries[o] AS entry, c.tenant_id, c.counters, c.window_starts, c.amounts
    ), given_back AS (
      UPDATE budget_charge b SET charged = b.charged - g.amount
      FROM (
        SELECT u.tenant_id, substr(u.counters, p * 16 - 15, 16) AS counter, u.window_starts[p] AS window_start,
          sum(u.amounts[p])::int8 AS amount
        FROM undone u, LATERAL generate_series(1, cardinality(u.amounts)) AS p
        GROUP BY 1, 2, 3
      ) AS g
      -- What was charged to a window that is over vanished with that window.
      WHERE b.tenant_id = g.tenant_id AND b.counter = g.counter AND b.window_start = g.window_start
    )
    SELECT array_agg(r.entry) INTO rare_ends
      FROM (SELECT d.entry FROM doubted d UNION ALL SELECT u.entry FROM undone u) AS r;
  END IF;
  IF cardinality(o_calls) + cardinality(s_tenants) > 0 THEN
    WITH closed AS (
      DELETE FROM open_call c USING generate_series(1, cardinality(o_calls)) AS o
      WHERE c.tenant_id = t_ids[e_tenants[o_entries[o]]] AND c.call_id = o_calls[o]
        AND c.state = CASE WHEN o_outcomes[o] < 3 THEN 'open' WHEN o_outcomes[o] IN (6, 7) THEN 'unknown' END::call_state
      RETURNING o_entries[o] AS entry
    )
    SELECT (SELECT array_agg(c.entry) FROM closed c), bool_and(coalesce(s_amounts[s] + b.carved
        + CASE WHEN b.window_start = s_windows[s] THEN b.charged ELSE 0 END <= s_limits[s]
        AND s_windows[s] >= b.window_start AND s_windows[s] <= now_ms + 60000, false))
      INTO ends, fits
      FROM generate_series(1, cardinality(s_tenants)) AS s
      LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[s]] AND b.counter = substr(s_counters, s * 16 - 15, 16);
    ends := ends || rare_ends;
    IF fits IS FALSE THEN
      IF EXISTS (SELECT FROM unnest(s_windows) AS w(at) WHERE w.at > now_ms + 60000) THEN
        -- It would empty a counter before its time.
        RAISE EXCEPTION 'a claim is more than a minute ahead of the database''s clock' USING ERRCODE = 'WR003';
      END IF;
      -- Counters that nobody has used before fit when their number does.
      SELECT bool_and(CASE WHEN b.tenant_id IS NULL THEN s_amounts[s] <= s_limits[s]
          ELSE s_amounts[s] + b.carved + CASE WHEN b.window_start = s_windows[s] THEN b.charged ELSE 0 END <= s_limits[s]
            AND s_windows[s] >= b.window_start END)
        INTO fits
        FROM generate_series(1, cardinality(s_tenants)) AS s
        LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[s]] AND b.counter = substr(s_counters, s * 16 - 15, 16);
      IF fits THEN
        SELECT coalesce(bool_and(f.fresh <= f.most - (
            SELECT count(*) FROM budget_charge b WHERE b.tenant_id = f.tenant_id AND b.root = f.root)), true)
          INTO fits
          FROM (
            SELECT t_ids[s_tenants[s]] AS tenant_id, substr(s_roots, s * 16 - 15, 16) AS root, count(*) AS fresh,
              min(s_nodes_max[s]) AS most
            FROM generate_series(1, cardinality(s_tenants)) AS s
            WHERE substr(s_roots, s * 16 - 15, 16) <> no_root AND NOT EXISTS (SELECT FROM budget_charge b
              WHERE b.tenant_id = t_ids[s_tenants[s]] AND b.counter = substr(s_counters, s * 16 - 15, 16))
            GROUP BY 1, 2
          ) AS f;
      END IF;
      IF plain AND fits THEN
        INSERT INTO budget_charge (tenant_id, counter, root, window_start)
          SELECT t_ids[s_tenants[s]], substr(s_counters, s * 16 - 15, 16),
            nullif(substr(s_roots, s * 16 - 15, 16), no_root), s_windows[s]
          FROM generate_series(1, cardinality(s_tenants)) AS s
        ON CONFLICT DO NOTHING;
      END IF;
    END IF;
    plain := plain AND fits IS NOT FALSE AND coalesce(cardinality(ends), 0) = cardinality(o_calls);
  END IF;

  IF NOT plain THEN
    IF statuses IS NULL THEN
      statuses := array_fill(0, ARRAY[cardinality(e_tenants)]);
      calls := o_calls;
      detail := string_to_array(p_detail, ';');
    END IF;
    kinds := detail[1];
    entry_calls := detail[4];
    entry_holds := detail[5];
    claim_slots := detail[6];
    claim_limits := detail[7];
    claim_nodes := detail[8];
    slot_roots := detail[9];
    ends := coalesce(ends, '{}');

    FOR entry IN 1..cardinality(e_tenants) LOOP
      kind := substr(kinds, entry, 1);
      CONTINUE WHEN kind NOT IN ('o', 'u', 'l') OR statuses[entry] <> 0 OR entry = ANY (ends);
      statuses[entry] := CASE
        WHEN kind = 'o' AND EXISTS (SELECT FROM open_call c WHERE c.tenant_id = t_ids[e_tenants[entry]]
          AND c.call_id = calls[entry_calls[entry]] AND c.state = 'unknown') THEN 5
        ELSE 6 END;
    END LOOP;

    -- Call by call, in order: each gets all that it claims, or nothing.
    refused_claims := array_fill(0, ARRAY[cardinality(e_tenants)]);
    remaining := array_fill(0::int8, ARRAY[cardinality(e_tenants)]);
    IF cardinality(s_tenants) > 0 THEN
      -- What is admitted is charged to the newest window that anybody names.
      s_windows := array_fill(0::int8, ARRAY[cardinality(s_tenants)]);
      FOR entry IN 1..cardinality(e_tenants) LOOP
        CONTINUE WHEN entry_holds[entry] = 0 OR statuses[entry] <> 0;
        FOR claim IN h_firsts[entry_holds[entry]]..h_firsts[entry_holds[entry] + 1] - 1 LOOP
          slot := claim_slots[claim];
          s_windows[slot] := greatest(s_windows[slot], k_windows[claim]);
        END LOOP;
      END LOOP;
      SELECT array_agg(coalesce(b.carved, 0) + CASE WHEN b.window_start >= s_windows[s] THEN b.charged ELSE 0 END
            ORDER BY s),
          array_agg(b.tenant_id IS NOT NULL ORDER BY s), array_agg(greatest(b.window_start, s_windows[s]) ORDER BY s)
        INTO slot_totals, slot_known, s_windows
        FROM generate_series(1, cardinality(s_tenants)) AS s
        LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[s]] AND b.counter = substr(s_counters, s * 16 - 15, 16);
      SELECT array_agg((SELECT count(*) FROM budget_charge b
          WHERE b.tenant_id = t_ids[s_tenants[r.slot]] AND b.root = substr(s_roots, r.slot * 16 - 15, 16)) ORDER BY r.root)
        INTO root_counts
        FROM (
          SELECT slot_roots[s] AS root, min(s) AS slot FROM generate_series(1, cardinality(s_tenants)) AS s
          WHERE slot_roots[s] > 0 GROUP BY 1
        ) AS r;
      slot_taken := array_fill(0::int8, ARRAY[cardinality(s_tenants)]);
      FOR entry IN 1..cardinality(e_tenants) LOOP
        CONTINUE WHEN entry_holds[entry] = 0 OR statuses[entry] <> 0;
        status := 0;
        wanted_roots := root_counts;
        FOR claim IN h_firsts[entry_holds[entry]]..h_firsts[entry_holds[entry] + 1] - 1 LOOP
          slot := claim_slots[claim];
          IF k_amounts[claim] > claim_limits[claim] - slot_totals[slot] THEN
            status := 3;
            refused_claims[entry] := claim - h_firsts[entry_holds[entry]] + 1;
            remaining[entry] := greatest(claim_limits[claim] - slot_totals[slot], 0);
            EXIT;
          END IF;
          IF NOT slot_known[slot] AND slot_roots[slot] > 0 THEN
            wanted_roots[slot_roots[slot]] := wanted_roots[slot_roots[slot]] + 1;
            IF wanted_roots[slot_roots[slot]] > claim_nodes[claim] THEN
              status := 4;
              EXIT;
            END IF;
          END IF;
        END LOOP;
        IF status = 0 THEN
          FOR claim IN h_firsts[entry_holds[entry]]..h_firsts[entry_holds[entry] + 1] - 1 LOOP
            slot := claim_slots[claim];
            slot_totals[slot] := slot_totals[slot] + k_amounts[claim];
            slot_taken[slot] := slot_taken[slot] + k_amounts[claim];
            slot_known[slot] := true;
          END LOOP;
          root_counts := wanted_roots;
        ELSE
          statuses[entry] := status;
        END IF;
      END LOOP;
    END IF;
    FOR entry IN 2..cardinality(e_tenants) LOOP
      IF substr(kinds, entry, 1) = 'w' THEN
        statuses[entry] := statuses[entry - 1];
      END IF;
    END LOOP;

    -- What is left is a batch of which nothing is refused.
    SELECT coalesce(array_agg(CASE WHEN slot_taken[s] > 0 THEN s_tenants[s] ELSE 0 END ORDER BY s), '{}')
      INTO s_tenants FROM generate_series(1, cardinality(s_tenants)) AS s;
    s_amounts := slot_taken;
    INSERT INTO budget_charge (tenant_id, counter, root, window_start)
      SELECT t_ids[s_tenants[s]], substr(s_counters, s * 16 - 15, 16),
        nullif(substr(s_roots, s * 16 - 15, 16), no_root), s_windows[s]
      FROM generate_series(1, cardinality(s_tenants)) AS s WHERE s_tenants[s] > 0
    ON CONFLICT DO NOTHING;
    SELECT coalesce(array_agg(s_windows[claim_slots[k]] ORDER BY k), '{}') INTO k_windows
      FROM generate_series(1, cardinality(k_amounts)) AS k;
    SELECT coalesce(array_agg(e_tenants[o.entry] ORDER BY o.entry), '{}'),
        coalesce(array_agg(a_calls[o.at] ORDER BY o.entry), '{}'),
        coalesce(array_agg(a_holds[o.at] ORDER BY o.entry), '{}')
      INTO a_tenants, a_calls, a_holds
      FROM (
        SELECT e AS entry, (row_number() OVER (ORDER BY e))::int4 AS at
        FROM generate_series(1, cardinality(e_tenants)) AS e WHERE substr(kinds, e, 1) = 'a'
      ) AS o WHERE statuses[o.entry] = 0;
    gained := 0;
    FOR tenant IN 1..cardinality(t_ids) LOOP
      FOR entry IN before + 1..t_lasts[tenant] LOOP
        gained := gained + (statuses[entry] = 0)::int4;
      END LOOP;
      before := t_lasts[tenant];
      t_lasts[tenant] := gained;
    END LOOP;
    before := 0;
    SELECT string_agg(e.event, E'\n' ORDER BY e.entry),
        string_agg(substr(e_leaves, e.entry::int4 * 32 - 31, 32), ''::bytea ORDER BY e.entry),
        string_agg(substr(e_salts, e.entry::int4 * 16 - 15, 16), ''::bytea ORDER BY e.entry),
        array_agg(e_tenants[e.entry] ORDER BY e.entry)
      INTO e_events, e_leaves, e_salts, e_tenants
      FROM unnest(string_to_array(e_events, E'\n')) WITH ORDINALITY AS e(event, entry) WHERE statuses[e.entry] = 0;
  END IF;

  offsets := sequences;
  FOR tenant IN 1..cardinality(t_ids) LOOP
    gained := t_lasts[tenant] - before;
    IF gained > 0 THEN
      committed[tenant] := greatest(committed[tenant], now_us);
      grown := writ_grow(head_hashes[tenant], frontiers[tenant], sequences[tenant], committed[tenant],
        substr(e_leaves, before * 32 + 1, gained * 32));
      links := links || substr(grown, 1, gained * 32);
      head_hashes[tenant] := substr(grown, gained * 32 - 31, 32);
      frontiers[tenant] := substr(grown, gained * 32 + 1);
      offsets[tenant] := sequences[tenant] - before;
      sequences[tenant] := sequences[tenant] + gained;
      before := t_lasts[tenant];
    END IF;
    hashes := hashes || head_hashes[tenant];
  END LOOP;

  WITH remembered AS (
    INSERT INTO journal_batch (batch_id, committed, at) VALUES (p_batch, true, clock_timestamp())
  ), charged AS (
    UPDATE budget_charge b SET
      window_start = s_windows[s],
      charged = s_amounts[s] + CASE WHEN b.window_start = s_windows[s] THEN b.charged ELSE 0 END
    FROM generate_series(1, cardinality(s_tenants)) AS s
    WHERE b.tenant_id = t_ids[s_tenants[s]] AND b.counter = substr(s_counters, s * 16 - 15, 16)
  ), opened AS (
    INSERT INTO open_call (tenant_id, call_id, gateway_id, opened_us, state, counters, window_starts, amounts)
      SELECT t_ids[a_tenants[a]], a_calls[a], p_gateway, now_ms * 1000, 'open',
        substr(k_counters, h_firsts[a_holds[a]] * 16 - 15, (h_firsts[a_holds[a] + 1] - h_firsts[a_holds[a]]) * 16),
        k_windows[h_firsts[a_holds[a]] : h_firsts[a_holds[a] + 1] - 1],
        k_amounts[h_firsts[a_holds[a]] : h_firsts[a_holds[a] + 1] - 1]
      FROM generate_series(1, cardinality(a_calls)) AS a
  ), logged AS (
    INSERT INTO audit_event (tenant_id, epoch, sequence, committed_us, event, leaf, hash, salt)
      SELECT t_ids[e_tenants[e.entry]], epochs[e_tenants[e.entry]], offsets[e_tenants[e.entry]] + e.entry,
        committed[e_tenants[e.entry]], e.event, substr(e_leaves, e.entry::int4 * 32 - 31, 32),
        substr(links, e.entry::int4 * 32 - 31, 32), nullif(substr(e_salts, e.entry::int4 * 16 - 15, 16), no_root)
      FROM unnest(string_to_array(e_events, E'\n')) WITH ORDINALITY AS e(event, entry)
  )
  UPDATE tenant_head h
    SET sequence = sequences[t], hash = head_hashes[t], frontier = frontiers[t], last_committed_us = committed[t]
    FROM generate_series(1, cardinality(t_ids)) AS t
    WHERE h.tenant_id = t_ids[t] AND h.sequence <> sequences[t];

  IF cardinality(p_soft) > 0 THEN
    SELECT array_agg(b.carved + b.charged ORDER BY p), array_agg(b.window_start ORDER BY p)
      INTO soft_totals, soft_windows
      FROM generate_series(1, cardinality(p_soft)) AS p
      LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[p_soft[p]]]
        AND b.counter = substr(s_counters, p_soft[p] * 16 - 15, 16);
  END IF;
  RETURN concat(now_ms, '|', epochs, '|', revisions, '|', sequences, '|', committed, '|', hashes, '|', statuses, '|',
    refused_claims, '|', remaining, '|', soft_totals, '|', soft_windows);
END $$;

-- Claims a batch id as refused, unless it was committed. Takes the heads first, so that a transaction which still
-- holds them is over when the answer is given; after `refused` its COMMIT can only fail.
CREATE FUNCTION writ_resolve_batch(p_batch uuid, p_tenants uuid[]) RETURNS text
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM writ_lock_heads(p_tenants);
  INSERT INTO journal_batch (batch_id, committed, at) VALUES (p_batch, false, clock_timestamp())
    ON CONFLICT (batch_id) DO NOTHING;
  RETURN (SELECT CASE WHEN committed THEN 'committed' ELSE 'refused' END FROM journal_batch WHERE batch_id = p_batch);
END $$;

-- Moves every other tenant's revision with the instance's, which the caller has locked.
CREATE FUNCTION writ_bump_tenants() RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  PERFORM FROM tenant_head h WHERE h.tenant_id <> writ_instance() ORDER BY h.tenant_id FOR NO KEY UPDATE;
  UPDATE tenant_head SET revision = revision + 1 WHERE tenant_id <> writ_instance();
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

-- One command: these objects as they now are, one revision, these events. p_values: JSON text, '' for an object that
-- ends. p_expected: the version of the row, ended or not, 0 for one that never was. Without objects only the events are
-- appended. p_salt: as for writ_append.
CREATE FUNCTION writ_apply(
  p_tenant uuid, p_now_ms int8, p_kinds text[], p_ids text[], p_values text[], p_expected int8[],
  p_events text[], p_leaves bytea, p_salt bytea DEFAULT NULL,
  OUT epoch int8, OUT revision int8, OUT sequence int8, OUT hash bytea, OUT committed_us int8
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  head record;
  changes int4 := cardinality(p_kinds);
  moved int8;
  found_rows int4;
  appended record;
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  IF head.tenant_id IS NULL THEN
    RAISE EXCEPTION 'tenant % has no head', p_tenant USING ERRCODE = 'WR002';
  END IF;
  moved := head.revision;
  IF changes > 0 THEN
    moved := moved + 1;
    -- Subqueries and a loop, not joins: each object is found by its key, whatever the planner thinks of the table.
    IF EXISTS (SELECT FROM unnest(p_kinds, p_ids, p_expected) AS c(kind, id, expected)
      WHERE c.expected > 0 AND c.expected IS DISTINCT FROM (SELECT a.version FROM authority a
        WHERE a.tenant_id = p_tenant AND a.kind = c.kind AND a.id = c.id)) THEN
      RAISE EXCEPTION 'an object is not at the version that was seen' USING ERRCODE = 'WR409';
    END IF;
    FOR entry IN 1..changes LOOP
      CONTINUE WHEN p_values[entry] <> '';
      UPDATE authority a SET deactivated_ms = p_now_ms, version = a.version + 1, revision = moved
        WHERE a.tenant_id = p_tenant AND a.kind = p_kinds[entry] AND a.id = p_ids[entry];
    END LOOP;
    INSERT INTO authority AS a (tenant_id, kind, id, value, version, revision, created_ms)
      SELECT p_tenant, c.kind, c.id, c.value::jsonb, c.expected + 1, moved, p_now_ms
      FROM unnest(p_kinds, p_ids, p_values, p_expected) AS c(kind, id, value, expected)
      WHERE c.value <> ''
    ON CONFLICT (tenant_id, kind, id) DO UPDATE SET
      value = excluded.value, version = excluded.version, revision = excluded.revision, deactivated_ms = NULL
      WHERE a.version = excluded.version - 1;
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    IF found_rows <> (SELECT count(*) FROM unnest(p_values) AS v(value) WHERE v.value <> '') THEN
      RAISE EXCEPTION 'an object exists already' USING ERRCODE = 'WR409';
    END IF;
    INSERT INTO authority_change (tenant_id, revision, position, kind, id, value, version)
      SELECT p_tenant, moved, c.ordinal::int4, c.kind, c.id, nullif(c.value, '')::jsonb,
        c.expected + 1
      FROM unnest(p_kinds, p_ids, p_values, p_expected)
        WITH ORDINALITY AS c(kind, id, value, expected, ordinal);
    UPDATE tenant_head h SET revision = moved WHERE h.tenant_id = p_tenant;
    IF moved % 100 = 0 THEN
      DELETE FROM authority_change c WHERE c.tenant_id = p_tenant AND c.revision <= moved - writ_changes_kept();
    END IF;
    IF p_tenant = writ_instance() THEN
      PERFORM writ_bump_tenants();
    END IF;
    PERFORM pg_notify('writ_authority', p_tenant::text);
  END IF;
  SELECT * INTO appended FROM writ_append(p_tenant, p_events, p_leaves, p_salt);
  epoch := appended.epoch;
  revision := moved;
  sequence := appended.sequence;
  hash := appended.hash;
  committed_us := appended.committed_us;
END $$;

-- The head of a new tenant. The instance's head is held FOR SHARE until the transaction ends, so that a change of the
-- instance comes before it, or finds this tenant.
CREATE FUNCTION writ_create_tenant(p_tenant uuid) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM set_config('writ.tenants', writ_instance() || ',' || p_tenant, true);
  IF p_tenant <> writ_instance() THEN
    PERFORM FROM tenant_head h WHERE h.tenant_id = writ_instance() FOR SHARE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the instance has no head' USING ERRCODE = 'WR002';
    END IF;
  END IF;
  INSERT INTO tenant_head (tenant_id, epoch, revision, sequence, hash, frontier, last_committed_us)
    VALUES (p_tenant, 1, 0, 0, writ_genesis(p_tenant, 1), ''::bytea, 0);
END $$;

-- Begins a new log after a restore, in the epoch behind both the head's and p_after, the highest that is known to have
-- been seen. The answer is where the old one ended; log.recovered, the first event of the new one, and the kill switch
-- are applied in the same transaction. The revision leaps by 2^32 with each epoch, also one that is passed over: a state
-- loaded before the restore may be ahead of what was restored, and must never match a revision that comes after. A
-- million epochs keep both below 2^53.
CREATE FUNCTION writ_open_epoch(
  p_tenant uuid, p_after int8, OUT epoch int8, OUT previous_epoch int8, OUT previous_sequence int8, OUT previous_hash bytea
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  head record;
  opened int8;
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  IF head.tenant_id IS NULL THEN
    RAISE EXCEPTION 'tenant % has no head', p_tenant USING ERRCODE = 'WR002';
  END IF;
  opened := greatest(head.epoch, p_after) + 1;
  IF opened > 1000000 THEN
    RAISE EXCEPTION 'epoch % is beyond what a log may reach', opened USING ERRCODE = 'WR006';
  END IF;
  UPDATE tenant_head h
    SET epoch = opened, revision = h.revision + (opened - head.epoch) * 4294967296, sequence = 0, hash = writ_genesis(p_tenant, opened), frontier = ''::bytea
    WHERE h.tenant_id = p_tenant;
  epoch := opened;
  previous_epoch := head.epoch;
  previous_sequence := head.sequence;
  previous_hash := head.hash;
END $$;

-- Narrowing from the data plane: a closed list, each one event and one revision.

-- Records a child of a token, and sets aside what it carves. It only adds a node; k_* has one element for each
-- (carve, counter it comes out of). Answers recorded, exists, stale, refused (claim, remaining) or refused_nodes.
CREATE FUNCTION writ_record_child(
  p_tenant uuid, p_epoch int8, p_revision int8, p_now_ms int8, p_node text, p_value text, p_events text[],
  p_leaves bytea, p_salt bytea, p_root bytea, p_nodes_max int4, p_path text[], p_expires_ms int8,
  k_parents bytea, k_children bytea, k_window_start int8[], k_amount int8[], k_limit int8[],
  OUT status text, OUT claim int4, OUT remaining int8, OUT revision int8
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  head record;
  counter_row record;
  total int8;
  parent bytea;
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  claim := 0;
  remaining := 0;
  revision := head.revision;
  IF head.tenant_id IS NULL OR head.epoch <> p_epoch OR head.revision <> p_revision THEN
    status := 'stale';
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM authority a WHERE a.tenant_id = p_tenant AND a.kind = 'node' AND a.id = p_node) THEN
    status := 'exists';
    RETURN;
  END IF;
  IF NOT EXISTS (SELECT FROM authority a
      WHERE a.tenant_id = p_tenant AND a.kind = 'root_token' AND a.id = p_value::jsonb ->> 'root') THEN
    RAISE EXCEPTION 'the root of a recorded child is unknown' USING ERRCODE = 'WR004';
  END IF;
  -- Nothing is written before everything is known to fit, since a refusal commits.
  FOR k IN 1..cardinality(k_amount) LOOP
    parent := substr(k_parents, k * 16 - 15, 16);
    SELECT * INTO counter_row FROM budget_charge b WHERE b.tenant_id = p_tenant AND b.counter = parent;
    total := 0;
    IF counter_row.tenant_id IS NOT NULL THEN
      total := counter_row.carved
        + CASE WHEN counter_row.window_start >= k_window_start[k] THEN counter_row.charged ELSE 0 END;
    END IF;
    FOR earlier IN 1..k - 1 LOOP
      IF substr(k_parents, earlier * 16 - 15, 16) = parent THEN
        total := total + k_amount[earlier];
      END IF;
    END LOOP;
    IF k_limit[k] >= 0 AND total + k_amount[k] > k_limit[k] THEN
      status := 'refused';
      claim := k;
      remaining := greatest(k_limit[k] - total, 0);
      RETURN;
    END IF;
  END LOOP;
  IF (SELECT count(*) FROM budget_charge b WHERE b.tenant_id = p_tenant AND b.root = p_root)
    + (SELECT count(DISTINCT substr(k_parents, c.ordinal::int4 * 16 - 15, 16))
        FROM unnest(k_amount) WITH ORDINALITY AS c(amount, ordinal)
        WHERE NOT EXISTS (SELECT FROM budget_charge b
          WHERE b.tenant_id = p_tenant AND b.counter = substr(k_parents, c.ordinal::int4 * 16 - 15, 16)))
    > p_nodes_max THEN
    status := 'refused_nodes';
    RETURN;
  END IF;
  FOR k IN 1..cardinality(k_amount) LOOP
    INSERT INTO budget_charge AS b (tenant_id, counter, root, window_start, carved)
      VALUES (p_tenant, substr(k_parents, k * 16 - 15, 16), p_root, k_window_start[k], k_amount[k])
      ON CONFLICT (tenant_id, counter) DO UPDATE SET carved = b.carved + excluded.carved;
    INSERT INTO carve (tenant_id, node, parent_counter, child_counter, amount, path, expires_ms)
      VALUES (p_tenant, p_node, substr(k_parents, k * 16 - 15, 16), substr(k_children, k * 16 - 15, 16), k_amount[k],
        p_path, p_expires_ms);
  END LOOP;
  SELECT a.revision INTO revision FROM writ_apply(p_tenant, p_now_ms, ARRAY['node'], ARRAY[p_node], ARRAY[p_value],
    ARRAY[0::int8], p_events, p_leaves, p_salt) AS a;
  status := 'recorded';
END $$;

-- Ends a node. Answers banned, or already when a revocation of it exists.
CREATE FUNCTION writ_ban_node(
  p_tenant uuid, p_now_ms int8, p_node text, p_value text, p_event text, p_leaf bytea,
  OUT status text, OUT revision int8
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  head record;
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  revision := head.revision;
  IF EXISTS (SELECT FROM authority a WHERE a.tenant_id = p_tenant AND a.kind = 'revocation' AND a.id = p_node) THEN
    status := 'already';
    RETURN;
  END IF;
  SELECT a.revision INTO revision FROM writ_apply(p_tenant, p_now_ms, ARRAY['revocation'], ARRAY[p_node],
    ARRAY[p_value], ARRAY[0::int8], ARRAY[p_event], p_leaf) AS a;
  status := 'banned';
END $$;

-- Carves whose node has ended and in which nothing is reserved or carved on, with what would return. The caller holds
-- the head.
CREATE FUNCTION writ_refundable(p_tenant uuid, p_limit int4)
  RETURNS TABLE (node text, parent_counter bytea, child_counter bytea, amount int8, spent int8, cause text)
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT c.node, c.parent_counter, c.child_counter, c.amount,
    CASE WHEN b.tenant_id IS NULL OR b.window_start < p.window_start THEN 0 ELSE b.used + b.unknown END AS spent,
    CASE WHEN r.id IS NULL THEN 'expired' ELSE 'revoked' END AS cause
  FROM carve c
  JOIN budget_charge p ON p.tenant_id = c.tenant_id AND p.counter = c.parent_counter
  LEFT JOIN budget_counter b ON b.tenant_id = c.tenant_id AND b.counter = c.child_counter
  LEFT JOIN LATERAL (SELECT a.id FROM authority a
    WHERE a.tenant_id = c.tenant_id AND a.kind = 'revocation' AND a.id = ANY (c.path) LIMIT 1) AS r ON true
  WHERE c.tenant_id = p_tenant
    AND (c.expires_ms < writ_now_us() / 1000 OR r.id IS NOT NULL)
    AND (b.tenant_id IS NULL OR (b.reserved = 0 AND b.carved = 0))
  ORDER BY c.node, c.parent_counter
  LIMIT p_limit
$$;

-- Books the refunds that writ_refundable named in the same transaction: what was spent below stays charged above,
-- the carve itself goes, once.
CREATE FUNCTION writ_refund(p_tenant uuid, p_nodes text[], p_parents bytea, p_events text[], p_leaves bytea)
  RETURNS int8
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  gone record;
  child record;
  head record;
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  FOR k IN 1..cardinality(p_nodes) LOOP
    DELETE FROM carve c WHERE c.tenant_id = p_tenant AND c.node = p_nodes[k]
        AND c.parent_counter = substr(p_parents, k * 16 - 15, 16)
        AND (c.expires_ms < writ_now_us() / 1000 OR EXISTS (SELECT FROM authority a
          WHERE a.tenant_id = p_tenant AND a.kind = 'revocation' AND a.id = ANY (c.path)))
      RETURNING * INTO gone;
    IF gone.node IS NULL THEN
      RAISE EXCEPTION 'carve of % is not to be refunded', p_nodes[k] USING ERRCODE = 'WR005';
    END IF;
    SELECT * INTO child FROM budget_counter b WHERE b.tenant_id = p_tenant AND b.counter = gone.child_counter;
    IF child.reserved > 0 OR child.carved > 0 THEN
      RAISE EXCEPTION 'carve of % is in use', p_nodes[k] USING ERRCODE = 'WR005';
    END IF;
    UPDATE budget_charge p SET
      carved = p.carved - gone.amount,
      window_start = greatest(p.window_start, coalesce(child.window_start, 0)),
      charged = CASE WHEN child.window_start > p.window_start THEN child.used + child.unknown
        WHEN child.window_start = p.window_start THEN p.charged + child.used + child.unknown ELSE p.charged END
      WHERE p.tenant_id = p_tenant AND p.counter = gone.parent_counter;
  END LOOP;
  RETURN (SELECT a.sequence FROM writ_append(p_tenant, p_events, p_leaves, NULL) AS a);
END $$;

-- Ends a call that was recorded as unknown: it did run, and its charge stays, or it did not, and what it charged is given
-- back where its window is not over. False when there is no such call, or no longer.
CREATE FUNCTION writ_reconcile(p_tenant uuid, p_call uuid, p_ran boolean) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  ended record;
BEGIN
  PERFORM writ_lock_heads(ARRAY[p_tenant]);
  DELETE FROM open_call c WHERE c.tenant_id = p_tenant AND c.call_id = p_call AND c.state = 'unknown'
    RETURNING c.counters, c.window_starts, c.amounts INTO ended;
  IF ended.counters IS NULL THEN
    RETURN false;
  END IF;
  IF NOT p_ran THEN
    UPDATE budget_charge b SET charged = b.charged - ended.amounts[p]
      FROM generate_series(1, cardinality(ended.amounts)) AS p
      WHERE b.tenant_id = p_tenant AND b.counter = substr(ended.counters, p * 16 - 15, 16)
        AND b.window_start = ended.window_starts[p];
  END IF;
  RETURN true;
END $$;

-- Says that a gateway is alive. Sweeps out what no longer matters: ids of batches older than an hour (a transaction
-- of ours lives seconds), a bounded number at a time.
CREATE FUNCTION writ_renew_lease(p_gateway uuid, p_ttl_ms int8, OUT expires_ms int8, OUT database_ms int8, OUT live int4)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  now_us int8 := writ_now_us();
BEGIN
  INSERT INTO gateway_lease AS l (gateway_id, started_us, renewed_us, expires_us)
    VALUES (p_gateway, now_us, now_us, now_us + p_ttl_ms * 1000)
    ON CONFLICT (gateway_id) DO UPDATE SET renewed_us = excluded.renewed_us, expires_us = excluded.expires_us;
  DELETE FROM journal_batch b WHERE b.batch_id IN (
    SELECT o.batch_id FROM journal_batch o
    WHERE o.batch_id < (lpad(to_hex(now_us / 1000 - 3600000), 12, '0') || repeat('0', 20))::uuid
      AND o.at < clock_timestamp() - interval '1 hour'
    ORDER BY o.batch_id LIMIT 2000 FOR UPDATE SKIP LOCKED);
  expires_ms := (now_us + p_ttl_ms * 1000) / 1000;
  database_ms := now_us / 1000;
  live := (SELECT count(*) FROM gateway_lease l WHERE l.expires_us > now_us);
END $$;

CREATE FUNCTION writ_end_lease(p_gateway uuid) RETURNS void
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  AS $$ DELETE FROM gateway_lease WHERE gateway_id = p_gateway $$;

-- Open calls of gateways that hold no lease, and gateways whose lease has lapsed (call_id null).
CREATE FUNCTION writ_lapsed(p_limit int4) RETURNS TABLE (gateway_id uuid, tenant_id uuid, call_id uuid)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  RETURN QUERY (SELECT c.gateway_id, c.tenant_id, c.call_id FROM open_call c
    WHERE c.state = 'open' AND NOT EXISTS (
      SELECT FROM gateway_lease l WHERE l.gateway_id = c.gateway_id AND l.expires_us > writ_now_us())
    ORDER BY c.tenant_id, c.call_id LIMIT p_limit)
  UNION ALL
  (SELECT l.gateway_id, NULL::uuid, NULL::uuid FROM gateway_lease l WHERE l.expires_us <= writ_now_us() LIMIT p_limit);
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

-- Which of these calls are still open while their gateway holds no lease. The caller holds the tenant's head.
CREATE FUNCTION writ_still_lapsed(p_tenant uuid, p_calls uuid[]) RETURNS uuid[]
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT coalesce(array_agg(c.call_id), ARRAY[]::uuid[]) FROM open_call c
  WHERE c.tenant_id = p_tenant AND c.call_id = ANY (p_calls) AND c.state = 'open' AND NOT EXISTS (
    SELECT FROM gateway_lease l WHERE l.gateway_id = c.gateway_id AND l.expires_us > writ_now_us())
$$;

-- Removes a lapsed lease; true for the one who did.
CREATE FUNCTION writ_take_lapsed_lease(p_gateway uuid) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  DELETE FROM gateway_lease l WHERE l.gateway_id = p_gateway AND l.expires_us <= writ_now_us();
  RETURN FOUND;
END $$;

-- Tenants in order, with their heads, a page at a time; for the control plane's work across tenants.
CREATE FUNCTION writ_list_tenants(p_after uuid, p_limit int4)
  RETURNS TABLE (tenant_id uuid, epoch int8, revision int8, sequence int8, hash bytea, frontier bytea)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  RETURN QUERY SELECT h.tenant_id, h.epoch, h.revision, h.sequence, h.hash, h.frontier FROM tenant_head h
  WHERE p_after IS NULL OR h.tenant_id > p_after ORDER BY h.tenant_id LIMIT p_limit;
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

-- An administrator's key by its id alone: whose it is, is what authentication finds out.
CREATE FUNCTION writ_find_admin_key(p_key text)
  RETURNS TABLE (tenant_id uuid, key_id text, name text, digest bytea, permissions text[], expires_ms int8,
    revoked_ms int8)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  RETURN QUERY SELECT k.tenant_id, k.key_id, k.name, k.digest, k.permissions, k.expires_ms, k.revoked_ms
    FROM admin_key k WHERE k.key_id = p_key;
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

-- What counters hold in these windows, compared as a claim's limit is: what a carve lifted them to. The caller holds the
-- head.
CREATE FUNCTION writ_counter_totals(p_tenant uuid, p_counters bytea, p_window_start int8[]) RETURNS int8[]
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT array_agg(coalesce(b.carved
      + CASE WHEN b.window_start >= w.window_start THEN b.charged ELSE 0 END, 0) ORDER BY w.ordinal)
  FROM unnest(p_window_start) WITH ORDINALITY AS w(window_start, ordinal)
  LEFT JOIN budget_charge b ON b.tenant_id = p_tenant AND b.counter = substr(p_counters, w.ordinal::int4 * 16 - 15, 16)
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_tenants(), writ_lock_heads(uuid[]), writ_changes_kept(), writ_instance()
  TO writ_gateway, writ_control;
GRANT EXECUTE ON FUNCTION
  writ_journal_commit(uuid, uuid, int8, uuid[], int4[], int8[], int8[], int8[], int8[], bytea, int4[], text, bytea, bytea,
    int4[], uuid[], int4[], boolean, int4[], uuid[], int4[], int4[], bytea, int8[], int8[], int4[], bytea, bytea, int8[],
    int8[], int8[], int4[], int4[], text),
  writ_resolve_batch(uuid, uuid[]),
  writ_record_child(uuid, int8, int8, int8, text, text, text[], bytea, bytea, bytea, int4, text[], int8, bytea, bytea,
    int8[], int8[], int8[]),
  writ_ban_node(uuid, int8, text, text, text, bytea), writ_counter_totals(uuid, bytea, int8[]),
  writ_renew_lease(uuid, int8), writ_end_lease(uuid), writ_lapsed(int4), writ_still_lapsed(uuid, uuid[]),
  writ_take_lapsed_lease(uuid)
  TO writ_gateway;
GRANT EXECUTE ON FUNCTION
  writ_apply(uuid, int8, text[], text[], text[], int8[], text[], bytea, bytea), writ_create_tenant(uuid),
  writ_open_epoch(uuid, int8), writ_refundable(uuid, int4), writ_refund(uuid, text[], bytea, text[], bytea),
  writ_find_admin_key(text), writ_make_partitions(int4), writ_reconcile(uuid, uuid, boolean), writ_erase_salts(uuid, int8, int8[])
  TO writ_control;
GRANT EXECUTE ON FUNCTION writ_list_tenants(uuid, int4) TO writ_gateway, writ_control;

SELECT writ_make_partitions(3);
