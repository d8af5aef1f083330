-- Names of tenants are unique among all tenants. They were compared before the transaction that took one, so that an
-- installation may have two tenants of one name, and an index on authority would not be made: of such the first has the name
-- here, and the other has none until it is renamed.
CREATE TABLE tenant_name (
  tenant_id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE
);
ALTER TABLE tenant_name ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants ON tenant_name USING (tenant_id = ANY ((SELECT writ_tenants())::uuid[]));
CREATE POLICY instance_wide ON tenant_name TO CURRENT_USER
  USING ((SELECT current_setting('writ.instance_wide', true)) = 'on');
REVOKE ALL ON tenant_name FROM PUBLIC;

DO $$
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  PERFORM set_config('writ.tenants', coalesce((SELECT string_agg(h.tenant_id::text, ',') FROM tenant_head h), ''), true);
  INSERT INTO tenant_name (tenant_id, name)
    SELECT DISTINCT ON (a.value ->> 'name') a.tenant_id, a.value ->> 'name' FROM authority a
    WHERE a.kind = 'tenant' AND a.deactivated_ms IS NULL ORDER BY a.value ->> 'name', a.created_ms, a.tenant_id;
  PERFORM set_config('writ.tenants', '', true);
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

-- Takes a name for a tenant in place of the one that it had, in the transaction that gives it. Fails as a key that is there
-- (23505) when another tenant has it; whoever takes one meanwhile is waited for. Names are taken one at a time, so that two
-- tenants which swap theirs do not wait for each other.
CREATE FUNCTION writ_take_tenant_name(p_tenant uuid, p_name text) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('writ tenant names', 0));
  PERFORM set_config('writ.instance_wide', 'on', true);
  INSERT INTO tenant_name (tenant_id, name) VALUES (p_tenant, p_name)
    ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name;
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

REVOKE ALL ON FUNCTION writ_take_tenant_name(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_take_tenant_name(uuid, text) TO writ_control;
