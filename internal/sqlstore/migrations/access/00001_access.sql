-- +goose Up
-- Times are milliseconds since 1970.
CREATE TABLE agreement (
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    model   TEXT NOT NULL,
    granted INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (account, region, model)
);

CREATE TABLE use_case (
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    form    BLOB NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (account, region)
);

CREATE TABLE retention (
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    mode    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (account, region)
);

-- config is the LoggingConfig of AWS's API, in JSON.
CREATE TABLE logging (
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    config  TEXT NOT NULL,
    PRIMARY KEY (account, region)
);

-- models is a JSON array. token is NULL where the request had none: NULLs are
-- all different from each other.
CREATE TABLE profile (
    account     TEXT NOT NULL,
    region      TEXT NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    token       TEXT,
    made_from   TEXT NOT NULL,
    models      TEXT NOT NULL,
    created     INTEGER NOT NULL,
    PRIMARY KEY (account, region, id),
    UNIQUE (account, region, token)
);

CREATE TABLE profile_tag (
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    profile TEXT NOT NULL,
    tag     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (account, region, profile, tag),
    FOREIGN KEY (account, region, profile) REFERENCES profile (account, region, id) ON DELETE CASCADE
);

-- +goose Down
DROP TABLE profile_tag;
DROP TABLE profile;
DROP TABLE logging;
DROP TABLE retention;
DROP TABLE use_case;
DROP TABLE agreement;
