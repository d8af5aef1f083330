-- Idempotency keys: a call that names one takes it in the transaction that allows the call, and no other call of the same
-- nearest recorded node is allowed under it for as long as it is kept. Only a digest of node and key is stored. A call that
-- surely was not sent gives its key back.

CREATE FUNCTION writ_keys_kept_us() RETURNS int8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 86400000000::int8 $$;

-- A row that is kept for longer counts as none, and is taken over or pruned.
CREATE TABLE idempotency_key (
  tenant_id uuid NOT NULL,
  key bytea NOT NULL CHECK (length(key) = 32),
  call_id uuid NOT NULL,
  taken_us int8 NOT NULL,
  PRIMARY KEY (tenant_id, key)
) WITH (fillfactor = 70);
-- Without tenant_id in front: an index that a look for a key could use as well might be used, at the cost of all rows of the
-- tenant.
CREATE INDEX idempotency_key_call ON idempotency_key (call_id);
ALTER TABLE idempotency_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants ON idempotency_key USING (tenant_id = ANY ((SELECT writ_tenants())::uuid[]));
CREATE POLICY instance_wide ON idempotency_key TO CURRENT_USER
  USING ((SELECT current_setting('writ.instance_wide', true)) = 'on');
REVOKE ALL ON idempotency_key FROM PUBLIC;

-- The journal's commit as 0002_history.sql has it, with keys:
--   y_*   one element an allow that names a key; null when none does. y_keys: 32 bytes each. Two more parts of p_detail
--         then: the entry of each, and the place of the first in the batch that names the same key of the same tenant.
--   Another status: 8, the key is taken. Another part of the answer: for such an entry, the call that has it.
-- A batch without keys makes no statement more than before.
-- Counters are found by their index now, however many a tenant has: no index serves a comparison with substr below
-- row-level security, since substr might leak what it is given.
DROP FUNCTION writ_journal_commit(uuid, uuid, int8, uuid[], int4[], int8[], int8[], int8[], int8[], bytea, int4[], text, bytea, bytea,
    int4[], uuid[], int4[], boolean, int4[], uuid[], int4[], int4[], bytea, int8[], int8[], int4[], bytea, bytea, int8[],
    int8[], int8[], int4[], int4[], text);
CREATE FUNCTION writ_journal_commit(
  p_batch uuid, p_gateway uuid, p_valid_until int8,
  t_ids uuid[], t_lasts int4[], t_bound int8[], t_epochs int8[], t_sequences int8[], t_revisions int8[], t_hashes bytea,
  e_tenants int4[], e_events text, e_leaves bytea, e_salts bytea,
  o_entries int4[], o_calls uuid[], o_outcomes int4[], o_rare boolean,
  a_tenants int4[], a_calls uuid[], a_holds int4[],
  h_firsts int4[], k_counters bytea, k_windows int8[], k_amounts int8[],
  s_tenants int4[], s_counters bytea, s_roots bytea, s_windows int8[], s_amounts int8[], s_limits int8[],
  s_nodes_max int4[], p_soft int4[], p_detail text,
  y_tenants int4[] DEFAULT NULL, y_calls uuid[] DEFAULT NULL, y_keys bytea DEFAULT NULL
)
  RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
AS $$
DECLARE
  no_root constant bytea := '\x00000000000000000000000000000000';
  setting text;
  slot_counters bytea[] := '{}';
  call_keys bytea[] := '{}';
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
  -- By place in y_calls: the call that has the key, null while it is free.
  holders uuid[];
  unheld boolean;
  key_entries int4[];
  key_groups int4[];
  entry_keys int4[];
  first_calls uuid[];
  mine int4;
  grown bytea;
  links bytea := '';
  hashes bytea := '';
  offsets int8[];
  before int4 := 0;
  gained int4;
BEGIN
  setting := set_config('writ.tenants', array_to_string(t_ids, ','), true);
  -- Under row-level security an index is of use only for a comparison that leaks nothing, as substr might.
  FOR s IN 1..cardinality(s_tenants) LOOP
    slot_counters[s] := substr(s_counters, s * 16 - 15, 16);
  END LOOP;
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
      RETURNING o_entries[o] AS entry, c.call_id, c.tenant_id, c.counters, c.window_starts, c.amounts
    ), freed AS (
      DELETE FROM idempotency_key k USING undone u WHERE k.call_id = u.call_id
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
  -- Before the counters, of which a call whose key is taken makes none.
  IF y_calls IS NOT NULL THEN
    FOR y IN 1..cardinality(y_calls) LOOP
      call_keys[y] := substr(y_keys, y * 32 - 31, 32);
    END LOOP;
    SELECT array_agg(k.call_id ORDER BY y), count(k.call_id) = 0 INTO holders, unheld
      FROM generate_series(1, cardinality(y_calls)) AS y
      LEFT JOIN idempotency_key k ON k.tenant_id = t_ids[y_tenants[y]] AND k.key = call_keys[y]
        AND k.taken_us > now_us - writ_keys_kept_us();
    plain := plain AND unheld;
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
      LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[s]] AND b.counter = slot_counters[s];
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
        LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[s]] AND b.counter = slot_counters[s];
      IF fits THEN
        SELECT coalesce(bool_and(f.fresh <= f.most - (
            SELECT count(*) FROM budget_charge b WHERE b.tenant_id = f.tenant_id AND b.root = f.root)), true)
          INTO fits
          FROM (
            SELECT t_ids[s_tenants[s]] AS tenant_id, substr(s_roots, s * 16 - 15, 16) AS root, count(*) AS fresh,
              min(s_nodes_max[s]) AS most
            FROM generate_series(1, cardinality(s_tenants)) AS s
            WHERE substr(s_roots, s * 16 - 15, 16) <> no_root AND NOT EXISTS (SELECT FROM budget_charge b
              WHERE b.tenant_id = t_ids[s_tenants[s]] AND b.counter = slot_counters[s])
            GROUP BY 1, 2
          ) AS f;
      END IF;
      IF plain AND fits THEN
        INSERT INTO budget_charge (tenant_id, counter, root, window_start)
          SELECT t_ids[s_tenants[s]], slot_counters[s],
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
    IF y_calls IS NOT NULL THEN
      key_entries := detail[10];
      key_groups := detail[11];
      entry_keys := array_fill(0, ARRAY[cardinality(e_tenants)]);
      first_calls := array_fill(NULL::uuid, ARRAY[cardinality(e_tenants)]);
      FOR y IN 1..cardinality(y_calls) LOOP
        mine := key_entries[y];
        entry_keys[mine] := y;
        IF statuses[mine] = 0 AND holders[y] IS NOT NULL THEN
          statuses[mine] := 8;
          first_calls[mine] := holders[y];
        END IF;
      END LOOP;
    END IF;

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
    IF cardinality(s_tenants) > 0 OR y_calls IS NOT NULL THEN
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
        LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[s]] AND b.counter = slot_counters[s];
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
        mine := entry_keys[entry];
        IF mine > 0 AND holders[key_groups[mine]] IS NOT NULL THEN
          statuses[entry] := 8;
          first_calls[entry] := holders[key_groups[mine]];
          CONTINUE;
        END IF;
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
          IF mine > 0 THEN
            holders[key_groups[mine]] := y_calls[mine];
          END IF;
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
    IF y_calls IS NOT NULL THEN
      SELECT array_agg(y_tenants[y] ORDER BY y), array_agg(call_keys[y] ORDER BY y), array_agg(y_calls[y] ORDER BY y)
        INTO y_tenants, call_keys, y_calls
        FROM generate_series(1, cardinality(y_calls)) AS y WHERE statuses[key_entries[y]] = 0;
    END IF;
    SELECT coalesce(array_agg(CASE WHEN slot_taken[s] > 0 THEN s_tenants[s] ELSE 0 END ORDER BY s), '{}')
      INTO s_tenants FROM generate_series(1, cardinality(s_tenants)) AS s;
    s_amounts := slot_taken;
    INSERT INTO budget_charge (tenant_id, counter, root, window_start)
      SELECT t_ids[s_tenants[s]], slot_counters[s],
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
    WHERE b.tenant_id = t_ids[s_tenants[s]] AND b.counter = slot_counters[s]
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

  IF y_calls IS NOT NULL THEN
    INSERT INTO idempotency_key AS k (tenant_id, key, call_id, taken_us)
      SELECT t_ids[y_tenants[y]], call_keys[y], y_calls[y], now_us
      FROM generate_series(1, cardinality(y_calls)) AS y
    ON CONFLICT (tenant_id, key) DO UPDATE SET call_id = excluded.call_id, taken_us = excluded.taken_us;
  END IF;
  IF cardinality(p_soft) > 0 THEN
    SELECT array_agg(b.carved + b.charged ORDER BY p), array_agg(b.window_start ORDER BY p)
      INTO soft_totals, soft_windows
      FROM generate_series(1, cardinality(p_soft)) AS p
      LEFT JOIN budget_charge b ON b.tenant_id = t_ids[s_tenants[p_soft[p]]]
        AND b.counter = slot_counters[p_soft[p]];
  END IF;
  RETURN concat(now_ms, '|', epochs, '|', revisions, '|', sequences, '|', committed, '|', hashes, '|', statuses, '|',
    refused_claims, '|', remaining, '|', soft_totals, '|', soft_windows, '|', first_calls);
END $$;

-- As before; a call that did not run gives back its key, too.
CREATE OR REPLACE FUNCTION writ_reconcile(p_tenant uuid, p_call uuid, p_ran boolean) RETURNS boolean
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
    DELETE FROM idempotency_key k WHERE k.call_id = p_call;
    UPDATE budget_charge b SET charged = b.charged - ended.amounts[c.p]
      FROM (
        SELECT p, substr(ended.counters, p * 16 - 15, 16) AS counter
        FROM generate_series(1, cardinality(ended.amounts)) AS p OFFSET 0
      ) AS c
      WHERE b.tenant_id = p_tenant AND b.counter = c.counter AND b.window_start = ended.window_starts[c.p];
  END IF;
  RETURN true;
END $$;

-- As before, by the index.
CREATE OR REPLACE FUNCTION writ_counter_totals(p_tenant uuid, p_counters bytea, p_window_start int8[]) RETURNS int8[]
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT array_agg(coalesce(b.carved
      + CASE WHEN b.window_start >= w.window_start THEN b.charged ELSE 0 END, 0) ORDER BY w.ordinal)
  FROM (
    SELECT u.window_start, u.ordinal, substr(p_counters, u.ordinal::int4 * 16 - 15, 16) AS counter
    FROM unnest(p_window_start) WITH ORDINALITY AS u(window_start, ordinal) OFFSET 0
  ) AS w
  LEFT JOIN budget_charge b ON b.tenant_id = p_tenant AND b.counter = w.counter
$$;

-- Removes keys of all tenants that are not kept any more, at most so many; found by the time in their call's id, looked at
-- by when they were taken. It needs no head: such a row counts as none, and one that is taken over meanwhile stays.
CREATE FUNCTION writ_prune_keys(p_limit int4) RETURNS int4
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off
AS $$
DECLARE
  over_us int8 := writ_now_us() - writ_keys_kept_us();
  pruned int4;
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  DELETE FROM idempotency_key k WHERE k.taken_us <= over_us AND k.call_id = ANY (ARRAY(
    SELECT o.call_id FROM idempotency_key o
    WHERE o.taken_us <= over_us AND o.call_id < (lpad(to_hex(over_us / 1000), 12, '0') || repeat('0', 20))::uuid
    ORDER BY o.call_id LIMIT p_limit));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  PERFORM set_config('writ.instance_wide', '', true);
  RETURN pruned;
END $$;

REVOKE ALL ON FUNCTION
  writ_journal_commit(uuid, uuid, int8, uuid[], int4[], int8[], int8[], int8[], int8[], bytea, int4[], text, bytea, bytea,
    int4[], uuid[], int4[], boolean, int4[], uuid[], int4[], int4[], bytea, int8[], int8[], int4[], bytea, bytea, int8[],
    int8[], int8[], int4[], int4[], text,
    int4[], uuid[], bytea),
  writ_keys_kept_us(), writ_prune_keys(int4)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  writ_journal_commit(uuid, uuid, int8, uuid[], int4[], int8[], int8[], int8[], int8[], bytea, int4[], text, bytea, bytea,
    int4[], uuid[], int4[], boolean, int4[], uuid[], int4[], int4[], bytea, int8[], int8[], int4[], bytea, bytea, int8[],
    int8[], int8[], int4[], int4[], text,
    int4[], uuid[], bytea)
  TO writ_gateway;
GRANT EXECUTE ON FUNCTION writ_prune_keys(int4) TO writ_control;
