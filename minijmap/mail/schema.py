"""The tables of mail, and what they promise each other.

`email` is the narrow row that changes; `email_content` never does, in two parts: what a list shows, and the rest. The
other tables are kept beside them in the same transaction: `email_mailbox` and `email_keyword` are where queries walk,
`mailbox_thread` is from where a mailbox's counts are kept, `email_search` is the index of words. `minijmap check`
makes all of them anew and compares. `queue_message` and `queue_recipient` are what is on its way out (see `queue`),
`sent_message` is by what reports about it are known (see `reports`); `email_smime` is what a signature is worth.
"""

from minijmap.store.schema import Migration

SEARCH_TABLE = """
        CREATE VIRTUAL TABLE {name} USING fts5 (
            "from", "to", cc, bcc, subject, body, attachments, headers,
            content = '', tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
        );
"""
"""The index of words, of texts that are folded already (see `words`). Marks are letters: Thai's vowels are."""

MAIL_MIGRATIONS = (
    Migration(
        "mail-1",
        """
        CREATE TABLE mailbox (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            reshaped INTEGER NOT NULL DEFAULT 0,    -- the last change of anything but counts (RFC 8621 §2.2)
            doc TEXT NOT NULL,
            total_emails INTEGER NOT NULL DEFAULT 0,
            unread_emails INTEGER NOT NULL DEFAULT 0,
            total_threads INTEGER NOT NULL DEFAULT 0,
            unread_threads INTEGER NOT NULL DEFAULT 0,
            name TEXT GENERATED ALWAYS AS (doc ->> '$.name') VIRTUAL,
            parent TEXT GENERATED ALWAYS AS (doc ->> '$.parentId') VIRTUAL,
            role TEXT GENERATED ALWAYS AS (doc ->> '$.role') VIRTUAL,
            sort_order INTEGER GENERATED ALWAYS AS (doc ->> '$.sortOrder') VIRTUAL,
            is_subscribed INTEGER GENERATED ALWAYS AS (doc ->> '$.isSubscribed') VIRTUAL
        ) STRICT;
        CREATE INDEX mailbox_created ON mailbox (account, created);
        CREATE INDEX mailbox_changed ON mailbox (account, changed);
        CREATE INDEX mailbox_name ON mailbox (account, parent, name);
        CREATE INDEX mailbox_role ON mailbox (account, role);
        CREATE TABLE thread (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            doc TEXT NOT NULL DEFAULT '{}'
        ) STRICT;
        CREATE INDEX thread_created ON thread (account, created);
        CREATE INDEX thread_changed ON thread (account, changed);
        CREATE TABLE thread_reference (             -- which threads a (message id, base subject) is known in
            account INTEGER NOT NULL,
            hash INTEGER NOT NULL,
            thread INTEGER NOT NULL,
            PRIMARY KEY (account, hash, thread)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX thread_reference_thread ON thread_reference (thread);
        CREATE TABLE email (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            thread INTEGER NOT NULL,
            blob INTEGER NOT NULL,
            received_at INTEGER NOT NULL,           -- milliseconds
            sent_at INTEGER,                        -- milliseconds
            size INTEGER NOT NULL,                  -- octets
            has_attachment INTEGER NOT NULL,
            from_key TEXT NOT NULL,                 -- what RFC 8621 §4.4.2 sorts by
            to_key TEXT NOT NULL,
            subject_key TEXT NOT NULL,
            doc TEXT NOT NULL,                      -- {"keywords": …, "mailboxIds": …}
            unread INTEGER GENERATED ALWAYS AS (
                doc ->> '$.keywords."$seen"' IS NULL AND doc ->> '$.keywords."$draft"' IS NULL) VIRTUAL
        ) STRICT;
        CREATE INDEX email_created ON email (account, created);
        CREATE INDEX email_changed ON email (account, changed);
        CREATE INDEX email_received ON email (account, received_at, key);
        CREATE INDEX email_thread ON email (thread, received_at, key);
        CREATE INDEX email_blob ON email (blob);
        CREATE TABLE email_content (
            email INTEGER PRIMARY KEY,
            list TEXT NOT NULL,                     -- the properties that a list shows, as JSON
            rest TEXT NOT NULL                      -- {"headers": [[name, raw value], …], "structure": …}
        ) STRICT;
        CREATE TABLE email_mailbox (
            mailbox INTEGER NOT NULL,
            received_at INTEGER NOT NULL,
            email INTEGER NOT NULL,
            thread INTEGER NOT NULL,
            PRIMARY KEY (mailbox, received_at, email)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX email_mailbox_email ON email_mailbox (email);
        CREATE INDEX email_mailbox_thread ON email_mailbox (mailbox, thread, received_at, email);
        CREATE TABLE email_keyword (
            account INTEGER NOT NULL,
            keyword TEXT NOT NULL,
            received_at INTEGER NOT NULL,
            email INTEGER NOT NULL,
            PRIMARY KEY (account, keyword, received_at, email)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE mailbox_thread (
            thread INTEGER NOT NULL,
            mailbox INTEGER NOT NULL,
            emails INTEGER NOT NULL,
            unread_emails INTEGER NOT NULL,
            unread INTEGER NOT NULL,                -- 1: counts as an unread Thread in this Mailbox
            newest_at INTEGER NOT NULL,             -- the newest Email of the Thread in this Mailbox
            newest INTEGER NOT NULL,
            PRIMARY KEY (thread, mailbox)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX mailbox_thread_newest ON mailbox_thread (mailbox, newest_at, newest);
        """
        + SEARCH_TABLE.format(name="email_search"),
    ),
    Migration(
        "mail-submission-1",
        """
        CREATE TABLE identity (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            doc TEXT NOT NULL
        ) STRICT;
        CREATE INDEX identity_created ON identity (account, created);
        CREATE INDEX identity_changed ON identity (account, changed);
        INSERT INTO identity (account, created, changed, doc)   -- accounts of before get theirs, as new ones do
            SELECT account.key, 0, 0, json_object(
                'name', user.name, 'email', user.address, 'replyTo', NULL, 'bcc', NULL,
                'textSignature', '', 'htmlSignature', '', 'mayDelete', json('false'))
            FROM account JOIN user ON user.key = account.user;
        CREATE TABLE vacation_response (            -- a row once it is changed (see DataType.singleton)
            account INTEGER PRIMARY KEY,
            key INTEGER NOT NULL DEFAULT 1 CHECK (key = 1),
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            doc TEXT NOT NULL
        ) STRICT;
        CREATE TABLE email_submission (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            send_at INTEGER NOT NULL,               -- milliseconds
            doc TEXT NOT NULL,
            identity TEXT GENERATED ALWAYS AS (doc ->> '$.identityId') VIRTUAL,
            email TEXT GENERATED ALWAYS AS (doc ->> '$.emailId') VIRTUAL,
            thread TEXT GENERATED ALWAYS AS (doc ->> '$.threadId') VIRTUAL,
            undo_status TEXT GENERATED ALWAYS AS (doc ->> '$.undoStatus') VIRTUAL
        ) STRICT;
        CREATE INDEX email_submission_created ON email_submission (account, created);
        CREATE INDEX email_submission_changed ON email_submission (account, changed);
        CREATE INDEX email_submission_send_at ON email_submission (account, send_at, key);
        CREATE TABLE queue_message (                -- what is on its way out: see mail.queue
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,               -- whose it is
            submission INTEGER,                     -- the EmailSubmission's key; that may be gone
            blob INTEGER NOT NULL,                  -- the message as it was stored
            sender TEXT NOT NULL,                   -- the envelope's; empty: no bounces
            parameters TEXT NOT NULL,               -- of MAIL FROM, as JSON
            queued_at INTEGER NOT NULL,             -- milliseconds
            release_at INTEGER NOT NULL             -- milliseconds
        ) STRICT;
        CREATE INDEX queue_message_submission ON queue_message (submission);
        CREATE INDEX queue_message_account ON queue_message (account);
        CREATE TABLE queue_recipient (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            message INTEGER NOT NULL,
            address TEXT NOT NULL,
            parameters TEXT NOT NULL,               -- of RCPT TO, as JSON
            route TEXT,                             -- NULL: nobody has looked yet; 'outside': not a mailbox here
            next_attempt INTEGER NOT NULL,          -- milliseconds
            attempts INTEGER NOT NULL DEFAULT 0,
            reply TEXT NOT NULL DEFAULT ''          -- the last one
        ) STRICT;
        CREATE INDEX queue_recipient_message ON queue_recipient (message);
        CREATE INDEX queue_recipient_next ON queue_recipient (route, next_attempt);
        """,
    ),
    Migration(
        "mail-outgoing-1",
        """
        ALTER TABLE queue_message ADD COLUMN signature BLOB;    -- fields put before it when it first left
        ALTER TABLE queue_recipient ADD COLUMN domain TEXT;     -- of the address, once it has the route 'outside'
        ALTER TABLE queue_recipient ADD COLUMN begun INTEGER;   -- milliseconds; set while it is handed over: see queue
        UPDATE queue_recipient SET route = NULL;                -- whoever looks again notes the domain
        CREATE INDEX queue_recipient_begun ON queue_recipient (begun) WHERE begun IS NOT NULL;
        CREATE TABLE sent_message (                 -- by what a report about a submission knows it: see reports
            submission INTEGER PRIMARY KEY,
            account INTEGER NOT NULL,
            envid TEXT NOT NULL,                    -- RFC 3461 §4.4
            message_id TEXT NOT NULL                -- without its angle brackets
        ) STRICT;
        CREATE INDEX sent_message_envid ON sent_message (account, envid);
        CREATE INDEX sent_message_message_id ON sent_message (account, message_id);
        """,
    ),
    Migration(
        "mail-submission-2",
        """
        ALTER TABLE queue_message ADD COLUMN protocol TEXT NOT NULL DEFAULT 'JMAP';     -- how it was handed in
        """,
    ),
    Migration(
        "mail-arrival-1",
        """
        CREATE TABLE email_arrival (            -- Emails that were delivered in the last days (see `emailpush`)
            account INTEGER NOT NULL,
            email INTEGER NOT NULL,
            at INTEGER NOT NULL,                -- milliseconds
            PRIMARY KEY (account, email)
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "mail-smime-1",
        """
        CREATE TABLE email_smime (                  -- Emails with S/MIME, and their status (see `smimestatus`)
            email INTEGER PRIMARY KEY,
            account INTEGER NOT NULL,
            received_at INTEGER NOT NULL,           -- milliseconds, as the Email's
            status TEXT,                            -- NULL: nobody has examined it yet
            at_delivery TEXT,
            errors TEXT,                            -- JSON
            verified_at INTEGER,                    -- milliseconds
            due INTEGER NOT NULL DEFAULT 0          -- milliseconds; from then on the status may be another
        ) STRICT;
        CREATE INDEX email_smime_received ON email_smime (account, received_at, email);
        CREATE INDEX email_smime_status ON email_smime (account, status, received_at, email);
        CREATE INDEX email_smime_at_delivery ON email_smime (account, at_delivery, received_at, email);
        CREATE INDEX email_smime_due ON email_smime (due, email);
        CREATE TABLE smime_progress (
            unseen INTEGER NOT NULL,                -- at Emails up to this key, from before, nobody has looked
            anchors TEXT NOT NULL                   -- on which trust anchors the statuses rest
        ) STRICT;
        INSERT INTO smime_progress SELECT coalesce(max(key), 0), '' FROM email;
        """,
    ),
    Migration(
        "mail-mdn-1",
        """
        CREATE TABLE mdn_sent (                     -- when an account has sent an MDN, in the last hour (see `mdnsend`)
            account INTEGER NOT NULL,
            at INTEGER NOT NULL                     -- milliseconds
        ) STRICT;
        CREATE INDEX mdn_sent_at ON mdn_sent (account, at);
        """,
    ),
)
