-- +goose Up
CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);
INSERT INTO name (id, text) VALUES (0, '');

CREATE TABLE segment (
    day  INTEGER PRIMARY KEY,
    mark INTEGER NOT NULL
);

-- The id is the record's place, so that rows come in order and a day is a range.
-- There is no other index: a scan of a million of these rows takes a tenth of a
-- second, and one more index on a random column makes writing them ten times as
-- slow (measured).
CREATE TABLE call (
    id        INTEGER PRIMARY KEY,
    request   INTEGER NOT NULL,
    status    INTEGER NOT NULL,
    cost      INTEGER NOT NULL,
    key       INTEGER NOT NULL,
    model     INTEGER NOT NULL,
    ref       INTEGER NOT NULL,
    time      INTEGER NOT NULL,
    region    INTEGER NOT NULL,
    operation INTEGER NOT NULL,
    session   INTEGER NOT NULL
);

-- Each call is in the slot of its hour (grain 0) and in that of its day (grain
-- 1), whose hour is its first.
CREATE TABLE slot (
    kind           INTEGER NOT NULL,
    grain          INTEGER NOT NULL,
    hour           INTEGER NOT NULL,
    value          INTEGER NOT NULL,
    key            INTEGER NOT NULL,
    model          INTEGER NOT NULL,
    profile        INTEGER NOT NULL,
    region         INTEGER NOT NULL,
    endpoint       INTEGER NOT NULL,
    calls          INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    partial        INTEGER NOT NULL,
    input          INTEGER NOT NULL,
    output         INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    took           INTEGER NOT NULL,
    billed         INTEGER NOT NULL,
    billed_premium INTEGER NOT NULL,
    billed_saved   INTEGER NOT NULL,
    would_cost     INTEGER NOT NULL,
    would_premium  INTEGER NOT NULL,
    would_saved    INTEGER NOT NULL,
    PRIMARY KEY (kind, grain, hour, value, key, model, profile, region, endpoint)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE slot;
DROP TABLE call;
DROP TABLE segment;
DROP TABLE name;
