-- What chancery-auth keeps in a PostgreSQL database that several appliances share: values that may be used once.
-- Made once by an administrator of the server, in a database of its own (encoding UTF8); in psql:
--
--     CREATE ROLE chancery LOGIN CONNECTION LIMIT 16;
--     \password chancery
--     CREATE ROLE chancery_owner NOLOGIN;
--     CREATE DATABASE chancery OWNER chancery_owner;
--     REVOKE ALL ON DATABASE chancery FROM PUBLIC;
--     GRANT CONNECT ON DATABASE chancery TO chancery;
--
-- then, from a shell, and with a line for each appliance in pg_hba.conf:
--
--     psql -v ON_ERROR_STOP=1 -1 -d chancery -f store.sql
--     hostssl chancery chancery 192.0.2.11/32 scram-sha-256
--
-- The role that auth logs in with owns nothing and reads no table: it may call three functions. So whoever takes
-- over auth can use up values and room, and cannot make anybody forget a value that is still valid.
--
-- All times are this server's, so which appliance asks makes no difference. An appliance whose clock is more than
-- two seconds from it takes no answer; and a row is over two seconds after it says so, never before the appliance
-- that asks would say the same.

SET ROLE chancery_owner;

CREATE SCHEMA chancery;
REVOKE ALL ON SCHEMA chancery FROM PUBLIC;

-- SHA-256 of a value with what it is; milliseconds since 1970.
CREATE TABLE chancery.first_seen (
    key bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    expires bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX first_seen_by_expiry ON chancery.first_seen (expires);

-- How many rows there are is the sum of these: counted in one place, every transaction would wait for the one
-- before. Whoever deletes rows by hand calls chancery.recount() afterwards. Every row removed was over at one of the
-- instants beside: a clock that says an earlier one, for it had been ahead and was set back, has no answer, since what it
-- finds to be new may have been here.
CREATE TABLE chancery.room (
    slot integer PRIMARY KEY,
    counted bigint NOT NULL,
    forgotten bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO chancery.room SELECT slot, 0, 0 FROM generate_series(0, 15) AS slot;

CREATE FUNCTION chancery.store_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2';

-- What is answered must be on disk by then, here and on a standby that may take over.
CREATE FUNCTION chancery.durable(standbys boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('fsync') <> 'on' THEN
        RAISE EXCEPTION 'fsync is off';
    END IF;
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        RAISE EXCEPTION 'synchronous_commit is %', current_setting('synchronous_commit');
    END IF;
    IF standbys AND current_setting('synchronous_standby_names') = '' THEN
        RAISE EXCEPTION 'synchronous_standby_names is empty: a standby that takes over may have forgotten';
    END IF;
END
$$;

CREATE FUNCTION chancery.not_behind(now_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    behind bigint;
BEGIN
    SELECT max(forgotten) - now_ms INTO behind FROM chancery.room;
    IF behind > 0 THEN
        RAISE EXCEPTION 'the clock is % ms behind what was forgotten', behind;
    END IF;
END
$$;

-- What is compared with the index is a column, and nothing computed from one: or each transaction would read all of it.

-- A session plans once and stays for days: whoever planned while the table was small must not read all of it for ever.
-- So no plan may, in these two.

-- For each value: 0 when it is new and remembered from now on, 1 when it was seen, 2 when it was not and there are
-- as many rows already as it may have. Of those who ask at the same time one inserts or, where the row is over,
-- updates it; the others wait for that and find it. Taken in the order of the keys, so that two transactions wait for
-- one another in one direction only; rows that are over go last, and nobody waits for those.
CREATE FUNCTION chancery.first_seen(
    keys bytea[], expiries bigint[], rooms bigint[], standbys boolean,
    OUT verdicts smallint[], OUT now_ms bigint, OUT held bigint
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    one record;
    is_new boolean;
    added bigint := 0;
    removed bigint;
    latest bigint;
BEGIN
    PERFORM chancery.durable(standbys);
    now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
    -- Nothing honest is kept for longer than two days: whoever took over auth fills the table for no longer than a week.
    expiries := ARRAY(SELECT least(until, now_ms + 604800000)
        FROM unnest(expiries) WITH ORDINALITY AS given (until, number) ORDER BY number);
    SELECT sum(counted) INTO held FROM chancery.room;
    -- There is room for all of them, as nearly always: at one go. Whoever stands twice has one turn.
    IF held + cardinality(keys) <= (SELECT min(most) FROM unnest(rooms) AS most) THEN
        WITH asked AS (
            SELECT number, key, expires, row_number() OVER (PARTITION BY key ORDER BY number) AS turn
            FROM unnest(keys, expiries) WITH ORDINALITY AS a (key, expires, number)
        ), fresh AS (
            INSERT INTO chancery.first_seen AS known (key, expires)
                SELECT key, expires FROM asked WHERE turn = 1 ORDER BY key
                ON CONFLICT (key) DO UPDATE SET expires = excluded.expires WHERE known.expires <= now_ms - 2000
                RETURNING key, xmax = 0 AS inserted
        )
        SELECT coalesce(array_agg(CASE WHEN turn = 1 AND inserted IS NOT NULL THEN 0 ELSE 1 END ORDER BY number), '{}'),
               count(*) FILTER (WHERE turn = 1 AND inserted)
            INTO verdicts, added FROM asked LEFT JOIN fresh USING (key);
    ELSE
        verdicts := array_fill(2::smallint, ARRAY[cardinality(keys)]);
        FOR one IN
            SELECT number, key, expires, most
            FROM unnest(keys, expiries, rooms) WITH ORDINALITY AS a (key, expires, most, number)
            ORDER BY key, number
        LOOP
            IF held + added < one.most THEN
                INSERT INTO chancery.first_seen AS known (key, expires) VALUES (one.key, one.expires)
                    ON CONFLICT (key) DO UPDATE SET expires = excluded.expires WHERE known.expires <= now_ms - 2000
                    RETURNING xmax = 0 INTO is_new;
                IF FOUND THEN
                    verdicts[one.number] := 0;
                    IF is_new THEN
                        added := added + 1;
                    END IF;
                ELSE
                    verdicts[one.number] := 1;
                END IF;
            ELSE
                UPDATE chancery.first_seen SET expires = one.expires
                    WHERE key = one.key AND expires <= now_ms - 2000;
                IF FOUND THEN
                    verdicts[one.number] := 0;
                ELSE
                    PERFORM FROM chancery.first_seen WHERE key = one.key;
                    IF FOUND THEN
                        verdicts[one.number] := 1;
                    END IF;
                END IF;
            END IF;
        END LOOP;
    END IF;
    WITH gone AS (
        DELETE FROM chancery.first_seen WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM chancery.first_seen WHERE expires <= now_ms - 60000
            ORDER BY expires LIMIT 16 + 2 * cardinality(keys) FOR UPDATE SKIP LOCKED))
        RETURNING expires
    ) SELECT count(*), coalesce(max(expires) + 2000, 0) INTO removed, latest FROM gone;
    held := held + added - removed;
    IF added <> removed OR removed > 0 THEN
        UPDATE chancery.room SET counted = counted + added - removed, forgotten = greatest(forgotten, latest)
            WHERE slot = pg_backend_pid() % 16;
    END IF;
    -- Last, for others may have forgotten meanwhile.
    PERFORM chancery.not_behind(now_ms);
END
$$;

-- Removes rows that are over, at most so many: for a minute, unless there is need of room; then for two seconds more, so
-- that no transaction is behind that began before. It writes in any case, so
-- whoever calls it knows that the server can.
CREATE FUNCTION chancery.forget(
    need boolean, most bigint, standbys boolean, OUT removed bigint, OUT now_ms bigint, OUT held bigint
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    latest bigint;
BEGIN
    PERFORM chancery.durable(standbys);
    now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
    WITH gone AS (
        DELETE FROM chancery.first_seen WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM chancery.first_seen WHERE expires <= now_ms - CASE WHEN need THEN 4000 ELSE 60000 END
            ORDER BY expires LIMIT least(greatest(most, 0), 4096) FOR UPDATE SKIP LOCKED))
        RETURNING expires
    ) SELECT count(*), coalesce(max(expires) + 2000, 0) INTO removed, latest FROM gone;
    UPDATE chancery.room SET counted = counted - removed, forgotten = greatest(forgotten, latest)
        WHERE slot = pg_backend_pid() % 16;
    SELECT sum(counted) INTO held FROM chancery.room;
    PERFORM chancery.not_behind(now_ms);
END
$$;

-- For the administrator: counts the rows while nobody writes.
CREATE FUNCTION chancery.recount() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    held bigint;
BEGIN
    LOCK TABLE chancery.first_seen, chancery.room IN SHARE ROW EXCLUSIVE MODE;
    SELECT count(*) INTO held FROM chancery.first_seen;
    UPDATE chancery.room SET counted = CASE WHEN slot = 0 THEN held ELSE 0 END;
    RETURN held;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA chancery FROM PUBLIC;
GRANT USAGE ON SCHEMA chancery TO chancery;
GRANT EXECUTE ON FUNCTION
    chancery.store_version(),
    chancery.first_seen(bytea[], bigint[], bigint[], boolean),
    chancery.forget(boolean, bigint, boolean)
    TO chancery;

RESET ROLE;
