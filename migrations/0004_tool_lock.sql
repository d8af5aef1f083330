-- The tool lock: what a gateway may do by itself about an upstream that lists something else than what is pinned, and
-- what it keeps of that for whoever reviews it.

-- `wanted` counts the readings that were asked for, `served` those that were made: a review is of what is there now. What
-- was asked for lapses after a minute: nobody waits for it any longer, and it may be nothing that a gateway can read.
ALTER TABLE catalogue_observation
  -- JSON text of the upstream's instructions.
  ADD COLUMN instructions text NOT NULL DEFAULT '""',
  -- SHA-256 (hex) over the canonical forms of all that was read; '' before there was any.
  ADD COLUMN digest text NOT NULL DEFAULT '',
  ADD COLUMN wanted int8 NOT NULL DEFAULT 0,
  ADD COLUMN wanted_us int8 NOT NULL DEFAULT 0,
  ADD COLUMN served int8 NOT NULL DEFAULT 0;
CREATE INDEX catalogue_wanted ON catalogue_observation (tenant_id) WHERE wanted > served;
GRANT UPDATE (wanted, wanted_us) ON catalogue_observation TO writ_control;
CREATE POLICY instance_wide ON catalogue_observation TO CURRENT_USER
  USING ((SELECT current_setting('writ.instance_wide', true)) = 'on');

-- What led to each quarantine: an upstream that changes its definition back has been seen all the same. `name` is '' for
-- the upstream's instructions.
CREATE TABLE catalogue_drift (
  tenant_id uuid NOT NULL,
  upstream_id text NOT NULL,
  name text NOT NULL,
  digest text NOT NULL,
  definition text NOT NULL,
  seen_ms int8 NOT NULL,
  PRIMARY KEY (tenant_id, upstream_id, name)
);
-- What an administrator has refused, by digest: it is not offered again.
CREATE TABLE catalogue_rejection (
  tenant_id uuid NOT NULL,
  upstream_id text NOT NULL,
  name text NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (tenant_id, upstream_id, name)
);
ALTER TABLE catalogue_drift ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE catalogue_rejection ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants ON catalogue_drift USING (tenant_id = ANY ((SELECT writ_tenants())::uuid[]));
CREATE POLICY tenants ON catalogue_rejection USING (tenant_id = ANY ((SELECT writ_tenants())::uuid[]));
REVOKE ALL ON catalogue_drift, catalogue_rejection FROM PUBLIC;
GRANT SELECT, DELETE ON catalogue_drift TO writ_control;
GRANT SELECT, INSERT, UPDATE, DELETE ON catalogue_rejection TO writ_control;

-- Quarantines tools of one upstream, and its instructions with all its tools: one revision, an event for each. It takes
-- the stored values and changes their status alone, so it can do nothing but narrow. The caller names what it compared
-- with, by digest: if any of it is not what is pinned and active now, nothing happens. Names and digests: of the tools,
-- and last, with the name '', of the instructions, where they have changed. Answers quarantined or moved.
CREATE FUNCTION writ_quarantine(
  p_tenant uuid, p_now_ms int8, p_upstream text, p_names text[], p_pinned text[], p_seen text[], p_definitions text[],
  p_events text[], p_leaves bytea, OUT status text, OUT revision int8
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  head record;
  upstream record;
  item record;
  kinds text[] := '{}';
  ids text[] := '{}';
  contents text[] := '{}';
  versions int8[] := '{}';
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  IF head.tenant_id IS NULL THEN
    RAISE EXCEPTION 'tenant % has no head', p_tenant USING ERRCODE = 'WR002';
  END IF;
  IF cardinality(p_names) = 0 OR cardinality(p_events) <> cardinality(p_names) THEN
    RAISE EXCEPTION 'a quarantine says each thing once' USING ERRCODE = 'WR004';
  END IF;
  revision := head.revision;
  status := 'moved';
  SELECT a.id, a.value, a.version INTO upstream FROM authority a
    WHERE a.tenant_id = p_tenant AND a.kind = 'upstream' AND a.id = p_upstream AND a.deactivated_ms IS NULL;
  IF upstream.id IS NULL THEN
    RETURN;
  END IF;
  FOR k IN 1..cardinality(p_names) LOOP
    IF p_names[k] = '' THEN
      IF upstream.value #>> '{lock,digest}' IS DISTINCT FROM p_pinned[k]
        OR upstream.value #>> '{lock,status}' IS DISTINCT FROM 'active' THEN
        RETURN;
      END IF;
      kinds := kinds || 'upstream'::text;
      ids := ids || upstream.id;
      contents := contents || jsonb_set(upstream.value, '{lock,status}', '"quarantined"')::text;
      versions := versions || upstream.version;
    ELSE
      SELECT a.id, a.value, a.version INTO item FROM authority a
        WHERE a.tenant_id = p_tenant AND a.kind = 'tool' AND a.id = (upstream.value ->> 'name') || '/' || p_names[k]
          AND a.deactivated_ms IS NULL;
      IF item.id IS NULL OR item.value ->> 'digest' IS DISTINCT FROM p_pinned[k]
        OR item.value ->> 'status' IS DISTINCT FROM 'active' THEN
        RETURN;
      END IF;
      kinds := kinds || 'tool'::text;
      ids := ids || item.id;
      contents := contents || jsonb_set(item.value, '{status}', '"quarantined"')::text;
      versions := versions || item.version;
    END IF;
  END LOOP;
  INSERT INTO catalogue_drift AS d (tenant_id, upstream_id, name, digest, definition, seen_ms)
    SELECT p_tenant, p_upstream, n.name, n.digest, n.definition, p_now_ms
    FROM unnest(p_names, p_seen, p_definitions) AS n(name, digest, definition)
  ON CONFLICT (tenant_id, upstream_id, name) DO UPDATE
    SET digest = excluded.digest, definition = excluded.definition, seen_ms = excluded.seen_ms;
  SELECT a.revision INTO revision FROM writ_apply(p_tenant, p_now_ms, kinds, ids, contents, versions, p_events,
    p_leaves) AS a;
  status := 'quarantined';
END $$;

-- Readings that were asked for and not made yet, of any tenant: a gateway makes those of tenants that it serves.
CREATE FUNCTION writ_wanted_readings(p_limit int4)
  RETURNS TABLE (tenant_id uuid, upstream_id text, wanted int8)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  RETURN QUERY SELECT o.tenant_id, o.upstream_id, o.wanted FROM catalogue_observation o
    WHERE o.wanted > o.served AND o.wanted_us > writ_now_us() - 60000000
    ORDER BY o.wanted_us DESC LIMIT p_limit;
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

REVOKE ALL ON FUNCTION writ_wanted_readings(int4) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_wanted_readings(int4) TO writ_gateway;
REVOKE ALL ON FUNCTION writ_quarantine(uuid, int8, text, text[], text[], text[], text[], text[], bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_quarantine(uuid, int8, text, text[], text[], text[], text[], text[], bytea)
  TO writ_gateway;
