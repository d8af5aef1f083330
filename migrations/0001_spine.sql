-- The tables of one history per tenant: heads, authority, the log, budgets, open calls and leases, with row-level
-- security and privileges from the first migration on. What happens to them is in 0002_history.sql. Run by the
-- owner of everything, writ_owner; the roles writ_gateway and writ_control exist. The same file serves Postgres 15
-- and later and the embedded database.
--
-- Every table that belongs to tenants has tenant_id and one policy: only rows of the tenants named in the setting
-- writ.tenants (comma separated, set for the length of one transaction). It is forced, so that it binds the owner's
-- functions as well. Some functions of the owner must look across tenants (to bump every revision with the
-- instance's, to find calls that a lost gateway left open or a key by its id); they turn on writ.instance_wide, which
-- means something to the owner only.

CREATE FUNCTION writ_tenants() RETURNS uuid[]
  LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT string_to_array(nullif(current_setting('writ.tenants', true), ''), ',')::uuid[] $$;

-- Authority, budgets and the log of one tenant move only under the lock of its head. Nothing references this table:
-- a foreign key would make every insert elsewhere wait for, or hold up, the lock. The instance is the tenant of
-- zeros, which sorts before every other, so that locking in tenant order locks it first.
CREATE TABLE tenant_head (
  tenant_id uuid PRIMARY KEY,
  epoch int8 NOT NULL,
  revision int8 NOT NULL,
  sequence int8 NOT NULL,
  hash bytea NOT NULL,
  -- Hashes of the perfect subtrees of the first `sequence` leaves, the largest first.
  frontier bytea NOT NULL,
  last_committed_us int8 NOT NULL
) WITH (fillfactor = 25);

CREATE FUNCTION writ_head_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a head is never removed' USING ERRCODE = 'WR001';
  END IF;
  IF NEW.tenant_id <> OLD.tenant_id
     OR NEW.revision < OLD.revision
     OR NEW.epoch < OLD.epoch
     OR length(NEW.hash) <> 32
     OR (NEW.epoch = OLD.epoch
         AND (NEW.sequence < OLD.sequence OR (NEW.sequence = OLD.sequence AND NEW.hash <> OLD.hash))) THEN
    RAISE EXCEPTION 'a head only grows' USING ERRCODE = 'WR001';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER head_only_grows BEFORE UPDATE OR DELETE ON tenant_head
  FOR EACH ROW EXECUTE FUNCTION writ_head_only_grows();

-- All objects that a decision may rest on, each with a version. One that ends is kept with the time of its end, out
-- of every state; if it begins again, its version goes on, so that a version never names two values.
CREATE TABLE authority (
  tenant_id uuid NOT NULL,
  kind text NOT NULL,
  id text NOT NULL,
  value jsonb NOT NULL,
  version int8 NOT NULL,
  revision int8 NOT NULL,
  created_ms int8 NOT NULL,
  deactivated_ms int8,
  PRIMARY KEY (tenant_id, kind, id)
);
CREATE UNIQUE INDEX authority_name ON authority (tenant_id, kind, (value ->> 'name'))
  WHERE kind IN ('agent', 'principal', 'upstream') AND deactivated_ms IS NULL;

-- What each revision changed, so that a gateway follows without loading everything. `value` null: it ended.
CREATE TABLE authority_change (
  tenant_id uuid NOT NULL,
  revision int8 NOT NULL,
  position int4 NOT NULL,
  kind text NOT NULL,
  id text NOT NULL,
  value jsonb,
  version int8 NOT NULL,
  PRIMARY KEY (tenant_id, revision, position)
);

-- The log. An event is the exact line of JSON whose leaf was chained. Unique by the head's lock: no index could
-- enforce it across partitions. `salt` is what the digests in an event are salted with: 16 bytes with the decision of
-- each call. It is not part of the log: without it the digests of the call's events say nothing.
CREATE TABLE audit_event (
  tenant_id uuid NOT NULL,
  epoch int8 NOT NULL,
  sequence int8 NOT NULL,
  committed_us int8 NOT NULL,
  event text NOT NULL,
  leaf bytea NOT NULL,
  hash bytea NOT NULL,
  salt bytea,
  PRIMARY KEY (tenant_id, epoch, sequence, committed_us)
) PARTITION BY RANGE (committed_us);
CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;
ALTER TABLE audit_event_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- Which batches were committed, and which may never be: the answer to a COMMIT whose answer was lost. Belongs to no
-- tenant; only functions touch it.
CREATE TABLE journal_batch (
  batch_id uuid PRIMARY KEY,
  committed boolean NOT NULL,
  at timestamptz NOT NULL
);

CREATE TYPE call_state AS ENUM ('open', 'unknown');

-- Allowed calls without an outcome. `counters` holds 16 bytes a claim, in the order of the arrays.
CREATE TABLE open_call (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  gateway_id uuid NOT NULL,
  opened_us int8 NOT NULL,
  state call_state NOT NULL,
  counters bytea NOT NULL,
  window_starts int8[] NOT NULL,
  amounts int8[] NOT NULL,
  PRIMARY KEY (tenant_id, call_id)
) WITH (fillfactor = 70);

-- One row a counter. A call is charged when it is allowed, in the window of its claim, and only an outcome that says
-- it was surely not sent takes that back. A claim of a newer window begins at nothing; what is carved stays set aside
-- in every window until it is refunded. `root` is the root node (16 bytes) of a counter that a holder could name.
CREATE TABLE budget_charge (
  tenant_id uuid NOT NULL,
  counter bytea NOT NULL,
  root bytea,
  window_start int8 NOT NULL,
  charged int8 NOT NULL DEFAULT 0,
  carved int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, counter),
  CHECK (charged >= 0 AND carved >= 0 AND length(counter) = 16)
) WITH (fillfactor = 50);
CREATE INDEX budget_charge_root ON budget_charge (tenant_id, root) WHERE root IS NOT NULL;

-- What became of the charges of each counter's window: the open calls hold some, the rest is used.
CREATE VIEW budget_counter WITH (security_invoker = true) AS
  SELECT b.tenant_id, b.counter, b.root, b.window_start,
    b.charged - coalesce(h.reserved, 0) - coalesce(h.unknown, 0) AS used,
    coalesce(h.reserved, 0) AS reserved, coalesce(h.unknown, 0) AS unknown, b.carved
  FROM budget_charge b LEFT JOIN (
    SELECT c.tenant_id, substr(c.counters, p * 16 - 15, 16) AS counter, c.window_starts[p] AS window_start,
      coalesce(sum(c.amounts[p]) FILTER (WHERE c.state = 'open'), 0)::int8 AS reserved,
      coalesce(sum(c.amounts[p]) FILTER (WHERE c.state = 'unknown'), 0)::int8 AS unknown
    FROM open_call c, LATERAL generate_series(1, cardinality(c.amounts)) AS p
    GROUP BY 1, 2, 3
  ) AS h ON h.tenant_id = b.tenant_id AND h.counter = b.counter AND h.window_start = b.window_start;

-- What a recorded child was given out of which counter. `path` names the child and everything above it: a revocation
-- of any of them ends the child. A row goes when its remainder has been refunded.
CREATE TABLE carve (
  tenant_id uuid NOT NULL,
  node text NOT NULL,
  parent_counter bytea NOT NULL,
  child_counter bytea NOT NULL,
  amount int8 NOT NULL CHECK (amount > 0),
  path text[] NOT NULL,
  expires_ms int8 NOT NULL,
  PRIMARY KEY (tenant_id, node, parent_counter)
);
CREATE INDEX carve_expiry ON carve (tenant_id, expires_ms);

-- A gateway process is alive while its lease is renewed. Gateways serve every tenant, so there is no tenant_id and no
-- row policy; no application role has a privilege on the table, only functions touch it.
CREATE TABLE gateway_lease (
  gateway_id uuid PRIMARY KEY,
  started_us int8 NOT NULL,
  renewed_us int8 NOT NULL,
  expires_us int8 NOT NULL
) WITH (fillfactor = 25);

-- Policy documents as stored versions; the active one is an object of authority.
CREATE TABLE policy_version (
  tenant_id uuid NOT NULL,
  version_id uuid NOT NULL,
  language text NOT NULL,
  source text NOT NULL,
  digest text NOT NULL,
  created_ms int8 NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, version_id)
);

-- Administrators' keys, by the digest of their secret. The gateway has no privilege here.
CREATE TABLE admin_key (
  tenant_id uuid NOT NULL,
  key_id text NOT NULL UNIQUE,
  name text NOT NULL,
  digest bytea NOT NULL,
  permissions text[] NOT NULL,
  version int8 NOT NULL DEFAULT 1,
  created_ms int8 NOT NULL,
  created_by text NOT NULL,
  expires_ms int8,
  revoked_ms int8,
  PRIMARY KEY (tenant_id, key_id)
);

-- What a gateway last saw when it read an upstream's catalogue. Not authority: pinning is a command.
CREATE TABLE catalogue_observation (
  tenant_id uuid NOT NULL,
  upstream_id text NOT NULL,
  gateway_id uuid NOT NULL,
  observed_ms int8 NOT NULL,
  status text NOT NULL,
  detail text NOT NULL DEFAULT '',
  -- JSON text: an array of the tools' definitions as strings, byte for byte.
  tools text NOT NULL DEFAULT '[]',
  PRIMARY KEY (tenant_id, upstream_id)
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['tenant_head', 'authority', 'authority_change', 'audit_event', 'open_call',
    'budget_charge', 'carve', 'policy_version', 'admin_key', 'catalogue_observation'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    -- The inner SELECT makes the list a constant of each statement instead of a call for each row.
    EXECUTE format('CREATE POLICY tenants ON %I USING (tenant_id = ANY ((SELECT writ_tenants())::uuid[]))', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['tenant_head', 'open_call', 'admin_key'] LOOP
    EXECUTE format('CREATE POLICY instance_wide ON %I TO CURRENT_USER
      USING ((SELECT current_setting(''writ.instance_wide'', true)) = ''on'')', name);
  END LOOP;
END $$;

-- Privileges. Whatever is not granted here is a function's business.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
GRANT SELECT ON tenant_head, authority, authority_change TO writ_gateway, writ_control;
GRANT SELECT, INSERT, UPDATE ON catalogue_observation TO writ_gateway;
GRANT SELECT, DELETE ON catalogue_observation TO writ_control;
GRANT SELECT ON audit_event, budget_charge, budget_counter, open_call, carve TO writ_control;
GRANT SELECT, INSERT ON policy_version TO writ_control;
GRANT SELECT, INSERT, UPDATE ON admin_key TO writ_control;
GRANT EXECUTE ON FUNCTION writ_tenants() TO writ_gateway, writ_control;
