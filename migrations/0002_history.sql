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

-- Appends the entries whose status is 0, in order, each to the log of its tenant. The heads are locked by the caller
-- or here. Times never go back within a log. Not granted to anyone: other functions of this file decide what is
-- appended.
CREATE FUNCTION writ_append(
  p_tenants uuid[], e_tenant int4[], e_status int4[], e_events text[], e_leaves bytea,
  OUT epochs int8[], OUT revisions int8[], OUT sequences int8[], OUT hashes bytea, OUT committed int8[]
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  head record;
  tenants int4 := cardinality(p_tenants);
  position int4;
  now_us int8;
  current int4 := 0;
  head_hashes bytea[] := array_fill(NULL::bytea, ARRAY[tenants]);
  frontiers bytea[] := array_fill(NULL::bytea, ARRAY[tenants]);
  entry_sequences int8[] := array_fill(0::int8, ARRAY[cardinality(e_tenant)]);
  entry_hashes bytea[] := array_fill(NULL::bytea, ARRAY[cardinality(e_tenant)]);
  time_bytes bytea;
  size int8;
  bits int8;
  link bytea;
  leaf bytea;
  node bytea;
  frontier bytea;
  depth int4;
BEGIN
  epochs := array_fill(NULL::int8, ARRAY[tenants]);
  revisions := epochs;
  sequences := epochs;
  committed := epochs;
  FOR head IN SELECT h.* FROM tenant_head h WHERE h.tenant_id = ANY (p_tenants) ORDER BY h.tenant_id FOR NO KEY UPDATE
  LOOP
    position := array_position(p_tenants, head.tenant_id);
    epochs[position] := head.epoch;
    revisions[position] := head.revision;
    sequences[position] := head.sequence;
    committed[position] := head.last_committed_us;
    head_hashes[position] := head.hash;
    frontiers[position] := head.frontier;
  END LOOP;
  now_us := writ_now_us();

  FOR entry IN 1..cardinality(e_tenant) LOOP
    CONTINUE WHEN e_status[entry] <> 0;
    position := e_tenant[entry];
    IF position <> current THEN
      IF current > 0 THEN
        sequences[current] := size;
        head_hashes[current] := link;
        frontiers[current] := frontier;
      END IF;
      current := position;
      size := sequences[position];
      IF size IS NULL THEN
        RAISE EXCEPTION 'tenant % has no head', p_tenants[position] USING ERRCODE = 'WR002';
      END IF;
      link := head_hashes[position];
      frontier := frontiers[position];
      committed[position] := greatest(committed[position], now_us);
      time_bytes := int8send(committed[position]);
    END IF;
    leaf := substr(e_leaves, entry * 32 - 31, 32);
    -- The new leaf closes as many perfect subtrees as the size has trailing one bits.
    IF size & 1 = 0 THEN
      frontier := frontier || leaf;
    ELSE
      node := leaf;
      bits := size;
      depth := length(frontier);
      WHILE bits & 1 = 1 LOOP
        node := sha256('\x01'::bytea || substr(frontier, depth - 31, 32) || node);
        depth := depth - 32;
        bits := bits >> 1;
      END LOOP;
      frontier := substr(frontier, 1, depth) || node;
    END IF;
    size := size + 1;
    link := sha256(link || int8send(size) || time_bytes || leaf);
    entry_sequences[entry] := size;
    entry_hashes[entry] := link;
  END LOOP;

  IF current > 0 THEN
    sequences[current] := size;
    head_hashes[current] := link;
    frontiers[current] := frontier;
    INSERT INTO audit_event (tenant_id, epoch, sequence, committed_us, event, leaf, hash)
      SELECT p_tenants[e.tenant], epochs[e.tenant], e.sequence, committed[e.tenant], e.event,
        substr(e_leaves, e.ordinal::int4 * 32 - 31, 32), e.hash
      FROM unnest(e_tenant, e_status, e_events, entry_sequences, entry_hashes)
        WITH ORDINALITY AS e(tenant, status, event, sequence, hash, ordinal)
      WHERE e.status = 0;
    UPDATE tenant_head h
      SET sequence = n.sequence, hash = n.hash, frontier = n.frontier, last_committed_us = n.committed
      FROM unnest(p_tenants, sequences, head_hashes, frontiers, committed)
        AS n(tenant_id, sequence, hash, frontier, committed)
      WHERE h.tenant_id = n.tenant_id AND h.sequence <> n.sequence;
  END IF;
  SELECT coalesce(string_agg(h, ''::bytea ORDER BY o), ''::bytea) INTO hashes
    FROM (SELECT coalesce(h, decode(repeat('00', 32), 'hex')) AS h, o
      FROM unnest(head_hashes) WITH ORDINALITY AS u(h, o)) AS filled;
END $$;

-- One batch of the journal, in one round trip: everything below happens or nothing.
--   t_*   one element a tenant, in tenant order. t_epochs: the epoch that the state was loaded on; t_sequences,
--         t_revisions, t_hashes: the highest head that the caller remembers (-1: none). A head behind it is regressed.
--   e_*   one element an entry. e_tenant: index into t_ids from 1. e_kind: 0 record, 1 allow that opens a call,
--         2 outcome, 3 denial, 4 allow that is over at once, 5 late outcome of a call recorded as unknown,
--         6 shares the fate of the entry before it. e_revision: -1, or the revision it was decided on.
--         e_valid_until: milliseconds. e_outcome: 1 completed, 2 failed, 3 aborted, 4 unknown. e_events: joined by
--         line feeds. e_leaves: 32 bytes each. e_salts: 16 bytes each (zeros: none), or empty.
--         e_first, e_claims: where the entry's claims begin (from 1), and how many there are.
--   c_*   one element a claim. c_roots: 16 bytes each (zeros: no holder could name this counter). c_limit: -1 for no
--         hard limit. c_nodes_max: how many counters there may be below that root. c_soft: -1 for no soft limit; empty
--         when no claim has one.
-- The claims of committed entries that went over their soft limit are in exceeded (from 1, in order); beside each, the
-- counter's total right behind that entry, compared as with a hard limit, and the window that it was charged to.
-- Statuses: 0 committed, 1 stale, 2 expired, 3 refused (claim: which, from 1; remaining: what is left of it),
-- 4 refused_nodes, 5 late (recorded as unknown before: nothing was appended, say it by kind 5), 6 absent, 7 regressed.
CREATE FUNCTION writ_journal_commit(
  p_batch uuid, p_gateway uuid,
  t_ids uuid[], t_epochs int8[], t_sequences int8[], t_revisions int8[], t_hashes bytea,
  e_tenant int4[], e_kind int4[], e_call uuid[], e_revision int8[], e_valid_until int8[], e_outcome int4[],
  e_events text, e_leaves bytea, e_salts bytea, e_first int4[], e_claims int4[],
  c_entry int4[], c_counters bytea, c_roots bytea, c_window_start int8[], c_amount int8[], c_limit int8[],
  c_nodes_max int4[], c_soft int8[],
  OUT statuses int4[], OUT refused_claims int4[], OUT remaining int8[],
  OUT exceeded int4[], OUT exceeded_totals int8[], OUT exceeded_windows int8[],
  OUT epochs int8[], OUT revisions int8[], OUT sequences int8[], OUT hashes bytea, OUT committed int8[],
  OUT database_ms int8
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  no_root constant bytea := '\x00000000000000000000000000000000';
  head record;
  position int4;
  head_revisions int8[] := array_fill(NULL::int8, ARRAY[cardinality(t_ids)]);
  -- 0 usable, 1 its epoch is newer than the state, 6 absent, 7 regressed.
  head_states int4[] := array_fill(6, ARRAY[cardinality(t_ids)]);
  settled int4[];
  fits boolean;
  fresh boolean;
  mixed boolean;
  claim_slots int4[];
  slot_totals int8[];
  slot_known boolean[];
  slot_roots int4[];
  slot_windows int8[];
  root_counts int8[];
  wanted_roots int8[];
  status int4;
  slot int4;
BEGIN
  PERFORM set_config('writ.tenants', array_to_string(t_ids, ','), true);
  FOR head IN SELECT h.tenant_id, h.epoch, h.revision, h.sequence, h.hash FROM tenant_head h
    WHERE h.tenant_id = ANY (t_ids) ORDER BY h.tenant_id FOR NO KEY UPDATE
  LOOP
    position := array_position(t_ids, head.tenant_id);
    head_revisions[position] := head.revision;
    head_states[position] := CASE
      WHEN t_epochs[position] < 0 THEN 0
      WHEN head.epoch > t_epochs[position] THEN 1
      WHEN head.epoch < t_epochs[position] OR head.sequence < t_sequences[position]
        OR head.revision < t_revisions[position]
        OR (head.sequence = t_sequences[position] AND head.hash <> substr(t_hashes, position * 32 - 31, 32))
        -- Others have written since; a copy that was restored and outgrew the mark has another entry where it stands.
        OR (head.sequence > t_sequences[position] AND t_sequences[position] > 0 AND NOT EXISTS (
          SELECT FROM audit_event a WHERE a.tenant_id = head.tenant_id AND a.epoch = head.epoch
            AND a.sequence = t_sequences[position] AND a.hash = substr(t_hashes, position * 32 - 31, 32))) THEN 7
      ELSE 0 END;
  END LOOP;
  database_ms := writ_now_us() / 1000;
  INSERT INTO journal_batch (batch_id, status, at) VALUES (p_batch, 'committed', clock_timestamp());

  SELECT array_agg(CASE
      WHEN head_states[e.tenant] >= 6 THEN head_states[e.tenant]
      WHEN e.revision >= 0 AND (head_states[e.tenant] = 1 OR e.revision <> head_revisions[e.tenant]) THEN 1
      WHEN e.kind IN (1, 4, 6) AND e.valid_until < database_ms THEN 2
      ELSE 0 END ORDER BY e.ordinal)
    INTO statuses
    FROM unnest(e_tenant, e_kind, e_revision, e_valid_until)
      WITH ORDINALITY AS e(tenant, kind, revision, valid_until, ordinal);

  -- Outcomes first: what they give back is there for the allows of the same batch.
  IF 2 = ANY (e_kind) OR 5 = ANY (e_kind) THEN
    WITH outcome AS MATERIALIZED (
      SELECT DISTINCT ON (e.tenant, e.call) e.ordinal::int4 AS entry, t_ids[e.tenant] AS tenant_id, e.call, e.kind,
        e.outcome
      FROM unnest(e_tenant, e_kind, e_call, e_outcome) WITH ORDINALITY AS e(tenant, kind, call, outcome, ordinal)
      WHERE e.kind IN (2, 5) AND statuses[e.ordinal::int4] = 0
      ORDER BY e.tenant, e.call, e.ordinal
    ), closed AS (
      DELETE FROM open_call c USING outcome o
      WHERE c.tenant_id = o.tenant_id AND c.call_id = o.call AND o.outcome <> 4
        AND c.state = CASE o.kind WHEN 5 THEN 'unknown' ELSE 'open' END
      RETURNING o.entry, o.kind, o.outcome, c.tenant_id, c.counters, c.window_starts, c.amounts
    ), doubted AS (
      UPDATE open_call c SET state = 'unknown' FROM outcome o
      WHERE c.tenant_id = o.tenant_id AND c.call_id = o.call AND o.outcome = 4 AND o.kind = 2 AND c.state = 'open'
      RETURNING o.entry, o.kind, o.outcome, c.tenant_id, c.counters, c.window_starts, c.amounts
    ), ended AS MATERIALIZED (
      SELECT * FROM closed UNION ALL SELECT * FROM doubted
    ), moved AS MATERIALIZED (
      SELECT n.tenant_id, substr(n.counters, p.n * 16 - 15, 16) AS counter, n.window_starts[p.n] AS window_start,
        sum(CASE n.kind WHEN 2 THEN n.amounts[p.n] ELSE 0 END)::int8 AS from_reserved,
        sum(CASE n.kind WHEN 5 THEN n.amounts[p.n] ELSE 0 END)::int8 AS from_unknown,
        sum(CASE WHEN n.outcome IN (1, 2) THEN n.amounts[p.n] ELSE 0 END)::int8 AS to_used,
        sum(CASE n.outcome WHEN 4 THEN n.amounts[p.n] ELSE 0 END)::int8 AS to_unknown
      FROM ended n, LATERAL generate_series(1, cardinality(n.amounts)) AS p(n)
      GROUP BY 1, 2, 3
    ), booked AS (
      UPDATE budget_counter b SET
        reserved = b.reserved - m.from_reserved,
        used = b.used + m.to_used,
        unknown = b.unknown - m.from_unknown + m.to_unknown
      FROM moved m
      -- A reservation of a window that is over vanished with that window.
      WHERE b.tenant_id = m.tenant_id AND b.counter = m.counter AND b.window_start = m.window_start
    )
    SELECT array_agg(n.entry) INTO settled FROM ended n;
    FOR entry IN 1..cardinality(e_kind) LOOP
      CONTINUE WHEN e_kind[entry] NOT IN (2, 5) OR statuses[entry] <> 0 OR entry = ANY (settled);
      statuses[entry] := CASE
        WHEN e_kind[entry] = 2 AND e_outcome[entry] <> 4 AND EXISTS (
          SELECT FROM open_call c
          WHERE c.tenant_id = t_ids[e_tenant[entry]] AND c.call_id = e_call[entry] AND c.state = 'unknown') THEN 5
        ELSE 6 END;
    END LOOP;
  END IF;

  IF cardinality(c_entry) > 0 THEN
    IF EXISTS (SELECT FROM unnest(c_window_start) AS w(at) WHERE w.at > database_ms + 60000) THEN
      -- It would empty a counter before its time.
      RAISE EXCEPTION 'a claim is more than a minute ahead of the database''s clock' USING ERRCODE = 'WR003';
    END IF;
    SELECT bool_and(coalesce(f.room, true)), bool_or(f.fresh), bool_or(f.mixed) INTO fits, fresh, mixed FROM (
      SELECT n.amount + coalesce(b.carved, 0)
          + CASE WHEN b.window_start >= n.newest THEN b.used + b.reserved + b.unknown ELSE 0 END <= n.least AS room,
        b.tenant_id IS NULL AND n.root <> no_root AS fresh,
        n.oldest <> greatest(n.newest, b.window_start) AS mixed
      FROM (
        SELECT t_ids[e_tenant[c.entry]] AS tenant_id, substr(c_counters, c.ordinal::int4 * 16 - 15, 16) AS counter,
          substr(c_roots, c.ordinal::int4 * 16 - 15, 16) AS root, max(c.window_start) AS newest,
          min(c.window_start) AS oldest, sum(c.amount)::int8 AS amount,
          min(CASE WHEN c.least < 0 THEN NULL ELSE c.least END) AS least
        FROM unnest(c_entry, c_window_start, c_amount, c_limit)
          WITH ORDINALITY AS c(entry, window_start, amount, least, ordinal)
        WHERE statuses[c.entry] = 0
        GROUP BY 1, 2, 3
      ) AS n LEFT JOIN budget_counter b ON b.tenant_id = n.tenant_id AND b.counter = n.counter
    ) AS f;

    IF NOT fits OR fresh THEN
      -- Call by call, in order: each gets all that it claims, or nothing.
      SELECT array_agg(s.slot ORDER BY s.ordinal) INTO claim_slots FROM (
        SELECT c.ordinal, dense_rank() OVER (ORDER BY t_ids[e_tenant[c.entry]],
          substr(c_counters, c.ordinal::int4 * 16 - 15, 16))::int4 AS slot
        FROM unnest(c_entry) WITH ORDINALITY AS c(entry, ordinal)) AS s;
      SELECT array_agg(k.total ORDER BY k.slot), array_agg(k.known ORDER BY k.slot),
          array_agg(k.root_slot ORDER BY k.slot), array_agg(k.newest ORDER BY k.slot)
        INTO slot_totals, slot_known, slot_roots, slot_windows
        FROM (
          SELECT n.slot, coalesce(b.carved, 0)
              + CASE WHEN b.window_start >= n.newest THEN b.used + b.reserved + b.unknown ELSE 0 END AS total,
            b.tenant_id IS NOT NULL AS known, n.newest,
            CASE WHEN n.root = no_root THEN 0
              ELSE dense_rank() OVER (ORDER BY n.root = no_root, n.tenant_id, n.root)::int4 END AS root_slot
          FROM (
            SELECT claim_slots[c.ordinal::int4] AS slot, t_ids[e_tenant[c.entry]] AS tenant_id,
              substr(c_counters, c.ordinal::int4 * 16 - 15, 16) AS counter,
              substr(c_roots, c.ordinal::int4 * 16 - 15, 16) AS root,
              coalesce(max(c.window_start) FILTER (WHERE statuses[c.entry] = 0), 0) AS newest
            FROM unnest(c_entry, c_window_start) WITH ORDINALITY AS c(entry, window_start, ordinal)
            GROUP BY 1, 2, 3, 4
          ) AS n LEFT JOIN budget_counter b ON b.tenant_id = n.tenant_id AND b.counter = n.counter
        ) AS k;
      SELECT array_agg((SELECT count(*) FROM budget_counter b
          WHERE b.tenant_id = r.tenant_id AND b.root = r.root) ORDER BY r.tenant_id, r.root)
        INTO root_counts
        FROM (
          SELECT DISTINCT t_ids[e_tenant[c.entry]] AS tenant_id,
            substr(c_roots, c.ordinal::int4 * 16 - 15, 16) AS root
          FROM unnest(c_entry) WITH ORDINALITY AS c(entry, ordinal)
          WHERE substr(c_roots, c.ordinal::int4 * 16 - 15, 16) <> no_root
        ) AS r;
      -- The totals are those of the newest window that the batch names, so what is admitted is charged there.
      SELECT array_agg(slot_windows[s.slot] ORDER BY s.ordinal) INTO c_window_start
        FROM unnest(claim_slots) WITH ORDINALITY AS s(slot, ordinal);
      refused_claims := array_fill(0, ARRAY[cardinality(e_kind)]);
      remaining := array_fill(0::int8, ARRAY[cardinality(e_kind)]);
      FOR entry IN 1..cardinality(e_kind) LOOP
        CONTINUE WHEN e_claims[entry] = 0 OR statuses[entry] <> 0;
        status := 0;
        wanted_roots := root_counts;
        FOR claim IN e_first[entry]..e_first[entry] + e_claims[entry] - 1 LOOP
          slot := claim_slots[claim];
          IF c_limit[claim] >= 0 AND slot_totals[slot] + c_amount[claim] > c_limit[claim] THEN
            status := 3;
            refused_claims[entry] := claim;
            remaining[entry] := greatest(c_limit[claim] - slot_totals[slot], 0);
            EXIT;
          END IF;
          IF NOT slot_known[slot] AND slot_roots[slot] > 0 THEN
            wanted_roots[slot_roots[slot]] := wanted_roots[slot_roots[slot]] + 1;
            IF wanted_roots[slot_roots[slot]] > c_nodes_max[claim] THEN
              status := 4;
              EXIT;
            END IF;
          END IF;
        END LOOP;
        IF status = 0 THEN
          FOR claim IN e_first[entry]..e_first[entry] + e_claims[entry] - 1 LOOP
            slot := claim_slots[claim];
            slot_totals[slot] := slot_totals[slot] + c_amount[claim];
            slot_known[slot] := true;
          END LOOP;
          root_counts := wanted_roots;
        ELSE
          statuses[entry] := status;
        END IF;
      END LOOP;
    END IF;

    INSERT INTO budget_counter AS b (tenant_id, counter, root, window_start, used, reserved)
      SELECT t_ids[e_tenant[c.entry]], substr(c_counters, c.ordinal::int4 * 16 - 15, 16),
        nullif(substr(c_roots, c.ordinal::int4 * 16 - 15, 16), no_root), max(c.window_start),
        sum(CASE e_kind[c.entry] WHEN 4 THEN c.amount ELSE 0 END)::int8,
        sum(CASE e_kind[c.entry] WHEN 4 THEN 0 ELSE c.amount END)::int8
      FROM unnest(c_entry, c_window_start, c_amount) WITH ORDINALITY AS c(entry, window_start, amount, ordinal)
      WHERE statuses[c.entry] = 0
      GROUP BY 1, 2, 3
    ON CONFLICT (tenant_id, counter) DO UPDATE SET
      window_start = greatest(b.window_start, excluded.window_start),
      used = excluded.used + CASE WHEN b.window_start >= excluded.window_start THEN b.used ELSE 0 END,
      reserved = excluded.reserved + CASE WHEN b.window_start >= excluded.window_start THEN b.reserved ELSE 0 END,
      unknown = CASE WHEN b.window_start >= excluded.window_start THEN b.unknown ELSE 0 END;

    IF mixed THEN
      -- Some claim named a window that is over: it was charged to the counter's present one, and is settled there.
      SELECT array_agg(coalesce(b.window_start, c.window_start) ORDER BY c.ordinal) INTO c_window_start
        FROM unnest(c_entry, c_window_start) WITH ORDINALITY AS c(entry, window_start, ordinal)
        LEFT JOIN budget_counter b ON b.tenant_id = t_ids[e_tenant[c.entry]]
          AND b.counter = substr(c_counters, c.ordinal::int4 * 16 - 15, 16);
    END IF;

    IF cardinality(c_soft) > 0 THEN
      -- What a counter held right behind an entry is what it holds now without what later entries added to it.
      SELECT array_agg(s.ordinal::int4 ORDER BY s.ordinal), array_agg(s.total ORDER BY s.ordinal),
          array_agg(s.window_start ORDER BY s.ordinal)
        INTO exceeded, exceeded_totals, exceeded_windows
        FROM (
          SELECT c.ordinal, c.soft, b.window_start, b.carved + b.used + b.reserved + b.unknown - coalesce(
            sum(c.amount) OVER (PARTITION BY b.tenant_id, b.counter ORDER BY c.ordinal
              ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 0)::int8 AS total
          FROM unnest(c_entry, c_amount, c_soft) WITH ORDINALITY AS c(entry, amount, soft, ordinal)
          JOIN budget_counter b ON b.tenant_id = t_ids[e_tenant[c.entry]]
            AND b.counter = substr(c_counters, c.ordinal::int4 * 16 - 15, 16)
          WHERE statuses[c.entry] = 0
        ) AS s WHERE s.soft >= 0 AND s.total > s.soft;
    END IF;
  END IF;

  IF 6 = ANY (e_kind) THEN
    FOR entry IN 2..cardinality(e_kind) LOOP
      IF e_kind[entry] = 6 THEN
        statuses[entry] := statuses[entry - 1];
      END IF;
    END LOOP;
  END IF;

  IF 1 = ANY (e_kind) THEN
    INSERT INTO open_call (tenant_id, call_id, gateway_id, opened_us, state, counters, window_starts, amounts)
      SELECT t_ids[e.tenant], e.call, p_gateway, database_ms * 1000, 'open',
        substr(c_counters, e.first * 16 - 15, e.claims * 16),
        c_window_start[e.first : e.first + e.claims - 1], c_amount[e.first : e.first + e.claims - 1]
      FROM unnest(e_tenant, e_kind, e_call, e_first, e_claims, statuses)
        AS e(tenant, kind, call, first, claims, status)
      WHERE e.kind = 1 AND e.status = 0;
  END IF;
  IF length(e_salts) > 0 THEN
    INSERT INTO call_salt (tenant_id, call_id, salt)
      SELECT t_ids[e.tenant], e.call, substr(e_salts, e.ordinal::int4 * 16 - 15, 16)
      FROM unnest(e_tenant, e_call, statuses) WITH ORDINALITY AS e(tenant, call, status, ordinal)
      WHERE e.status = 0 AND substr(e_salts, e.ordinal::int4 * 16 - 15, 16) <> no_root;
  END IF;

  SELECT a.epochs, a.revisions, a.sequences, a.hashes, a.committed
    INTO epochs, revisions, sequences, hashes, committed
    FROM writ_append(t_ids, e_tenant, statuses, string_to_array(e_events, E'\n'), e_leaves) AS a;
END $$;

-- Claims a batch id as refused, unless it was committed. Takes the heads first, so that a transaction which still
-- holds them is over when the answer is given; after `refused` its COMMIT can only fail.
CREATE FUNCTION writ_resolve_batch(p_batch uuid, p_tenants uuid[]) RETURNS text
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM writ_lock_heads(p_tenants);
  INSERT INTO journal_batch (batch_id, status, at) VALUES (p_batch, 'refused', clock_timestamp())
    ON CONFLICT (batch_id) DO NOTHING;
  RETURN (SELECT status FROM journal_batch WHERE batch_id = p_batch);
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
-- appended.
CREATE FUNCTION writ_apply(
  p_tenant uuid, p_now_ms int8, p_kinds text[], p_ids text[], p_values text[], p_expected int8[],
  p_events text[], p_leaves bytea,
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
  SELECT * INTO appended FROM writ_append(ARRAY[p_tenant], array_fill(1, ARRAY[cardinality(p_events)]),
    array_fill(0, ARRAY[cardinality(p_events)]), p_events, p_leaves);
  epoch := appended.epochs[1];
  revision := moved;
  sequence := appended.sequences[1];
  hash := appended.hashes;
  committed_us := appended.committed[1];
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
  p_leaves bytea, p_call uuid, p_salt bytea, p_root bytea, p_nodes_max int4, p_path text[], p_expires_ms int8,
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
    SELECT * INTO counter_row FROM budget_counter b WHERE b.tenant_id = p_tenant AND b.counter = parent;
    total := 0;
    IF counter_row.tenant_id IS NOT NULL THEN
      total := counter_row.carved + CASE WHEN counter_row.window_start >= k_window_start[k]
        THEN counter_row.used + counter_row.reserved + counter_row.unknown ELSE 0 END;
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
  IF (SELECT count(*) FROM budget_counter b WHERE b.tenant_id = p_tenant AND b.root = p_root)
    + (SELECT count(DISTINCT substr(k_parents, c.ordinal::int4 * 16 - 15, 16))
        FROM unnest(k_amount) WITH ORDINALITY AS c(amount, ordinal)
        WHERE NOT EXISTS (SELECT FROM budget_counter b
          WHERE b.tenant_id = p_tenant AND b.counter = substr(k_parents, c.ordinal::int4 * 16 - 15, 16)))
    > p_nodes_max THEN
    status := 'refused_nodes';
    RETURN;
  END IF;
  FOR k IN 1..cardinality(k_amount) LOOP
    INSERT INTO budget_counter AS b (tenant_id, counter, root, window_start, carved)
      VALUES (p_tenant, substr(k_parents, k * 16 - 15, 16), p_root, k_window_start[k], k_amount[k])
      ON CONFLICT (tenant_id, counter) DO UPDATE SET carved = b.carved + excluded.carved;
    INSERT INTO carve (tenant_id, node, parent_counter, child_counter, amount, path, expires_ms)
      VALUES (p_tenant, p_node, substr(k_parents, k * 16 - 15, 16), substr(k_children, k * 16 - 15, 16), k_amount[k],
        p_path, p_expires_ms);
  END LOOP;
  SELECT a.revision INTO revision FROM writ_apply(p_tenant, p_now_ms, ARRAY['node'], ARRAY[p_node], ARRAY[p_value],
    ARRAY[0::int8], p_events, p_leaves) AS a;
  INSERT INTO call_salt (tenant_id, call_id, salt) VALUES (p_tenant, p_call, p_salt);
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
  JOIN budget_counter p ON p.tenant_id = c.tenant_id AND p.counter = c.parent_counter
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
    UPDATE budget_counter p SET
      carved = p.carved - gone.amount,
      window_start = greatest(p.window_start, coalesce(child.window_start, 0)),
      used = CASE WHEN child.window_start > p.window_start THEN child.used
        WHEN child.window_start = p.window_start THEN p.used + child.used ELSE p.used END,
      unknown = CASE WHEN child.window_start > p.window_start THEN child.unknown
        WHEN child.window_start = p.window_start THEN p.unknown + child.unknown ELSE p.unknown END,
      reserved = CASE WHEN child.window_start > p.window_start THEN 0 ELSE p.reserved END
      WHERE p.tenant_id = p_tenant AND p.counter = gone.parent_counter;
  END LOOP;
  RETURN (SELECT a.sequences[1] FROM writ_append(ARRAY[p_tenant], array_fill(1, ARRAY[cardinality(p_events)]),
    array_fill(0, ARRAY[cardinality(p_events)]), p_events, p_leaves) AS a);
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
    SELECT o.batch_id FROM journal_batch o WHERE o.at < clock_timestamp() - interval '1 hour'
    ORDER BY o.at LIMIT 2000 FOR UPDATE SKIP LOCKED);
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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_tenants(), writ_lock_heads(uuid[]), writ_changes_kept(), writ_instance()
  TO writ_gateway, writ_control;
GRANT EXECUTE ON FUNCTION
  writ_journal_commit(uuid, uuid, uuid[], int8[], int8[], int8[], bytea, int4[], int4[], uuid[], int8[], int8[], int4[],
    text, bytea, bytea, int4[], int4[], int4[], bytea, bytea, int8[], int8[], int8[], int4[], int8[]),
  writ_resolve_batch(uuid, uuid[]),
  writ_record_child(uuid, int8, int8, int8, text, text, text[], bytea, uuid, bytea, bytea, int4, text[], int8, bytea,
    bytea, int8[], int8[], int8[]),
  writ_ban_node(uuid, int8, text, text, text, bytea),
  writ_renew_lease(uuid, int8), writ_end_lease(uuid), writ_lapsed(int4), writ_still_lapsed(uuid, uuid[]),
  writ_take_lapsed_lease(uuid)
  TO writ_gateway;
GRANT EXECUTE ON FUNCTION
  writ_apply(uuid, int8, text[], text[], text[], int8[], text[], bytea), writ_create_tenant(uuid),
  writ_open_epoch(uuid, int8), writ_refundable(uuid, int4), writ_refund(uuid, text[], bytea, text[], bytea),
  writ_find_admin_key(text), writ_make_partitions(int4)
  TO writ_control;
GRANT EXECUTE ON FUNCTION writ_list_tenants(uuid, int4) TO writ_gateway, writ_control;

SELECT writ_make_partitions(3);
