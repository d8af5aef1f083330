-- What prunes as 0003_pruning.sql has it, by the keys of rows. Below row-level security no index serves a comparison with what
-- a function that might leak makes of a joined row, as substr does: for each page, or for each unknown call, all counters of
-- the tenant were read, and for a counter all its roots. Here each row is looked for, and removed, by a statement of its own
-- that has its key as a parameter: whatever the planner takes a tenant's size for, only the key's index is of use to it. Such
-- a query must not be turned into a join, so none that reads a table is an EXISTS.
CREATE OR REPLACE FUNCTION writ_prune(
  p_tenant uuid, p_after_counter bytea, p_after_call uuid, p_limit int4,
  OUT next_counter bytea, OUT next_call uuid, OUT counters int4, OUT calls int4, OUT objects int4, OUT changes int4
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
AS $$
#variable_conflict use_column
DECLARE
  day constant int8 := 86400000;
  head record;
  now_ms int8;
  over_ms int8;
  page_counters bytea[];
  page_calls uuid[];
  gone_counter bytea;
  gone_call uuid;
  gone record;
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  IF head.tenant_id IS NULL THEN
    RAISE EXCEPTION 'tenant % has no head', p_tenant USING ERRCODE = 'WR002';
  END IF;
  -- Nobody else moves this tenant's rows while the head is held.
  now_ms := writ_now_us() / 1000;
  -- A window that began before this is over, whichever it is; `total` begins at 0.
  over_ms := now_ms - 32 * day;

  page_counters := ARRAY(SELECT b.counter FROM budget_charge b
    WHERE b.tenant_id = p_tenant AND (p_after_counter IS NULL OR b.counter > p_after_counter)
    ORDER BY b.counter LIMIT p_limit);
  IF cardinality(page_counters) = p_limit THEN
    next_counter := page_counters[p_limit];
  END IF;
  -- What is reserved stays.
  page_counters := ARRAY(SELECT p.counter FROM unnest(page_counters) AS p(counter)
    EXCEPT SELECT substr(c.counters, n.n * 16 - 15, 16)
    FROM open_call c, LATERAL generate_subscripts(c.amounts, 1) AS n(n)
    WHERE c.tenant_id = p_tenant AND c.state = 'open');
  counters := 0;
  FOREACH gone_counter IN ARRAY ARRAY(SELECT p.counter FROM unnest(page_counters) AS p(counter)
    WHERE (
      SELECT b.carved = 0
        -- In order, which one index alone has.
        AND (SELECT c.child_counter FROM carve c WHERE c.tenant_id = p_tenant AND c.child_counter >= b.counter
          ORDER BY c.child_counter LIMIT 1) IS DISTINCT FROM b.counter
        -- The counters of a root that lives are counted: none of them goes before it.
        AND CASE WHEN b.root IS NULL THEN b.window_start > 0 AND b.window_start < over_ms
          ELSE (SELECT a.deactivated_ms IS NULL FROM authority a WHERE a.tenant_id = p_tenant AND a.kind = 'root_token'
            AND a.id = encode(b.root, 'hex')) IS NOT TRUE END
      FROM budget_charge b WHERE b.tenant_id = p_tenant AND b.counter = p.counter))
  LOOP
    DELETE FROM budget_charge b WHERE b.tenant_id = p_tenant AND b.counter = gone_counter;
    counters := counters + 1;
  END LOOP;

  page_calls := ARRAY(SELECT c.call_id FROM open_call c
    WHERE c.tenant_id = p_tenant AND (p_after_call IS NULL OR c.call_id > p_after_call)
    ORDER BY c.call_id LIMIT p_limit);
  IF cardinality(page_calls) = p_limit THEN
    next_call := page_calls[p_limit];
  END IF;
  calls := 0;
  FOREACH gone_call IN ARRAY ARRAY(SELECT p.call_id FROM unnest(page_calls) AS p(call_id)
    WHERE (
      SELECT c.state = 'unknown' AND c.opened_us < over_ms * 1000
        AND NOT EXISTS (SELECT FROM generate_subscripts(c.window_starts, 1) AS n(n)
          WHERE (SELECT b.window_start FROM budget_charge b
            WHERE b.tenant_id = p_tenant AND b.counter = substr(c.counters, n.n * 16 - 15, 16)) = c.window_starts[n.n])
      FROM open_call c WHERE c.tenant_id = p_tenant AND c.call_id = p.call_id))
  LOOP
    DELETE FROM open_call c WHERE c.tenant_id = p_tenant AND c.call_id = gone_call;
    calls := calls + 1;
  END LOOP;

  objects := 0;
  FOR gone IN SELECT e.kind, e.id FROM authority e
    WHERE e.tenant_id = p_tenant AND e.kind IN ('root_token', 'node', 'revocation')
      AND e.deactivated_ms IS NOT NULL AND e.deactivated_ms < now_ms - 7 * day
    ORDER BY e.deactivated_ms LIMIT p_limit
  LOOP
    DELETE FROM authority a WHERE a.tenant_id = p_tenant AND a.kind = gone.kind AND a.id = gone.id;
    objects := objects + 1;
  END LOOP;

  changes := 0;
  FOR gone IN SELECT o.revision, o.position FROM authority_change o
    WHERE o.tenant_id = p_tenant AND o.revision <= head.revision - writ_changes_kept()
    ORDER BY o.revision, o.position LIMIT p_limit
  LOOP
    DELETE FROM authority_change c
      WHERE c.tenant_id = p_tenant AND c.revision = gone.revision AND c.position = gone.position;
    changes := changes + 1;
  END LOOP;
END $$;
