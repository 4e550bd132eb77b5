export const signUpTokens = `
  CREATE TABLE sign_up_token (
    hash             TEXT    NOT NULL PRIMARY KEY,  -- SHA-256 of what is given out
    id               TEXT    NOT NULL UNIQUE,
    note             TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER,  -- NULL: it does not
    uses             INTEGER,  -- NULL: without number
    used             INTEGER NOT NULL CHECK (used >= 0)
  ) STRICT, WITHOUT ROWID;
`;
