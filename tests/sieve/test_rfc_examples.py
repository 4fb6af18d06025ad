"""The examples of the extensions' RFCs, as they stand there: accepted, and doing what the text around them says.

Where an example has a slip of its own (a missing `require`, a misplaced colon), it is mended, and the case says so.
"""

import pytest

from minijmap.sieve.host import AloneHost
from tests.sieve.trials import PLAIN, Case, outcome

EXECUTABLE = b"""\
From: boss@example.org
To: user@example.org
Subject: Budget
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Please read on.
--b
Content-Type: application/exe; name="setup.exe"
Content-Disposition: attachment; filename="setup.exe"

x
--b--
"""
SPAM = b"X-Spam-Status: Yes, score=4.0 required=5.0\r\n" + PLAIN
ALERT = PLAIN.replace(b"Subject: ", b"Subject: ALERT: disk full\r\nX-Old: ")

CASES = [
    Case(
        "RFC 5703 §9.1",
        """require [ "foreverypart", "mime", "replace" ];
        foreverypart
        {
          if anyof (
                 header :mime :contenttype :is
                   "Content-Type" "application/exe",
                 header :mime :param "filename"
                   :matches ["Content-Type", "Content-Disposition"] "*.com" )
          {
            replace "Executable attachment removed by user filter";
          }
        }""",
        "keep",
        EXECUTABLE,
    ),
    Case(
        "RFC 5703 §9.2, with “text:” for “:text”",
        """require [ "foreverypart", "mime", "enclose" ];
        foreverypart
        {
          if header :mime :param "filename"
             :matches ["Content-Type", "Content-Disposition"]
               ["*.com", "*.exe", "*.vbs", "*.scr",
                "*.pif", "*.hta", "*.bat", "*.zip" ]
          {
            enclose :subject "Warning" text:
WARNING! The enclosed message contains executable attachments.
.
;
            break;
          }
        }""",
        "keep",
        EXECUTABLE,
    ),
    Case(
        "RFC 5703 §9.3, with the require it forgets, and a notification",
        """require ["mime", "variables", "extracttext", "foreverypart", "enotify"];
        if header :contains "from" "boss@example.org"
        {
          if header :matches "Subject" "*"
          {
            set "subject" "${1}";
          }
          foreverypart
          {
            if header :mime :type :is "Content-Type" "text"
            {
              extracttext :first 100 "msgcontent";
              break;
            }
          }
          if not header :contains "subject" "FYI:"
          {
            notify :message "${subject}: ${msgcontent}" "mailto:user@example.org";
          }
        }""",
        "notify Budget: Please read on.; keep",
        EXECUTABLE,
    ),
    Case(
        "RFC 5260 §4.4",
        """require ["date", "relational", "fileinto"];
        if allof(header :is "from" "\\"A. Sender\\" <sender@example.com>",
                 date :value "ge" :originalzone "date" "hour" "09",
                 date :value "lt" :originalzone "date" "hour" "17")
        { fileinto "urgent"; }""",
        "keep",
    ),
    Case(
        "RFC 5260 §5.1, in a month that the clock gives",
        """require ["date", "variables", "fileinto"];
        if currentdate :matches "month" "*" { set "month" "${1}"; }
        if currentdate :matches "year"  "*" { set "year"  "${1}"; }
        fileinto "${month}-${year}";""",
        "into 01-2026",
    ),
    Case(
        "RFC 5260 §6.1, without the comma at the end of its list",
        """require ["date", "relational", "index"];
        if date :value "gt" :index 2 :zone "-0500" "received"
                "iso8601" "2007-02-26T09:00:00-05:00"
        { redirect "aftercutoff@example.org"; }""",
        "redirect aftercutoff@example.org",
    ),
    Case(
        "RFC 5293 §4",
        """require "editheader";
        /* Don't redirect if we already redirected */
        if not header :contains "X-Sieve-Filtered"
                ["<kim@job.example.com>", "<kim@home.example.com>"]
        {
                addheader "X-Sieve-Filtered" "<kim@job.example.com>";
                redirect "kim@home.example.com";
        }""",
        "redirect kim@home.example.com",
    ),
    Case(
        "RFC 5235 §3.2.1",
        """require ["spamtest", "fileinto", "relational", "comparator-i;ascii-numeric"];
        if spamtest :value "eq" :comparator "i;ascii-numeric" "0"
        {
            fileinto "INBOX.unclassified";
        }
        elsif spamtest :value "ge" :comparator "i;ascii-numeric" "3"
        {
            fileinto "INBOX.spam-trap";
        }""",
        "into INBOX.spam-trap",
        SPAM,
    ),
    Case(
        "RFC 5235 §3.2.2",
        """require ["spamtestplus", "fileinto", "relational", "comparator-i;ascii-numeric"];
        if spamtest :percent :count "eq" :comparator "i;ascii-numeric" "0"
        {
            fileinto "INBOX.unclassified";
        }
        elsif spamtest :percent :value "eq" :comparator "i;ascii-numeric" "0"
        {
            fileinto "INBOX.not-spam";
        }
        elsif spamtest :percent :value "lt" :comparator "i;ascii-numeric" "37"
        {
            fileinto "INBOX.spam-trap";
        }
        else
        {
            discard;
        }""",
        "discard",
        SPAM,
    ),
    Case(
        "RFC 5230 §4.4",
        """require "vacation";
        vacation :mime text:
Content-Type: multipart/alternative; boundary=foo

--foo

I'm at the beach relaxing.  Mmmm, surf...

--foo
Content-Type: text/html; charset=us-ascii

<BODY><P>I'm at the <A HREF="beach.gif">beach</A> relaxing.</BODY>

--foo--
.
;""",
        "vacation 604800; keep",
    ),
    Case(
        "RFC 6131 §3",
        """require ["vacation-seconds"];
        vacation :handle "auto-resp" :seconds 0
            "Your request has been received.  A service
             representative will contact you as soon as
             possible, usually within one business day.";""",
        "vacation 0; keep",
    ),
    Case(
        "RFC 5435 §3.7, example 2",
        """require ["enotify", "fileinto", "variables", "envelope"];
        if header :matches "from" "*@example.com*" {
            if envelope :all :matches "from" "*" {
                set "env_from" " [really: ${1}]";
            }
            if header :matches "Message-ID" "*" {
                set "subject" "${1}";
            }
            if address :matches :all "from" "*" {
                set "from_addr" "${1}";
            }
            notify :message "${from_addr}${env_from}: ${subject}" "mailto:alm@example.com";
        }""",
        "notify sender@example.com [really: sender@example.com]: <1@example.com>; keep",
    ),
    Case(
        "RFC 5435 §4, example 4",
        """require "enotify";
        if not valid_notify_method ["mailto:", "http://gw.example.net/notify?test"] {
            stop;
        }
        discard;""",
        "keep",
    ),
    Case(
        "RFC 5436 §3",
        """require ["enotify", "variables"];
        if header :contains "message-id" "example.com" {
          if header :matches "Message-ID" "<*@*>" {
            notify :message "From ${1} list: ${2}"
                :importance "3"
                "mailto:0123456789@sms.example.net?to=backup@example.com";
          }
        }""",
        "notify From 1 list: example.com; keep",
    ),
    Case(
        "RFC 7352 §5.2",
        """require ["duplicate", "variables", "imap4flags", "fileinto"];
        if header :matches "subject" "ALERT: *" {
          if duplicate :seconds 60 :uniqueid "${1}" {
            setflag "\\\\seen";
          }
          fileinto "Alerts";
        }""",
        "into Alerts",
        ALERT,
    ),
    Case(
        "RFC 7352 §5.3",
        """require ["variables", "envelope", "enotify", "duplicate"];
        if envelope :matches "from" "*" { set "sender" "${1}"; }
        if header :matches "subject" "*" { set "subject" "${1}"; }
        if string :comparator "i;ascii-casemap" :matches "${subject}" "Re:*"
        {
          set "subject" "${1}";
        }
        if not duplicate :seconds 1800 :uniqueid "${sender} ${subject}"
        {
          notify :message "[SIEVE] ${sender}: ${subject}" "mailto:user@im.example.com";
        }""",
        "notify [SIEVE] sender@example.com: ALERT: disk full; keep",
        ALERT,
    ),
    Case(
        "RFC 5490 §3.1",
        """require ["fileinto", "reject", "mailbox"];
        if mailboxexists "Partners" {
           fileinto "Partners";
        } else {
           reject "This message was not accepted by the Mailstore";
        }""",
        "reject This message was not accepted by the Mailstore",
    ),
    Case(
        "RFC 5490 §4.1",
        """require ["enotify", "servermetadata", "variables", "envelope"];
        set "notif_uri" "none";
        if servermetadata :matches "/private/vendor/vendor.isode/notification-uri" "*" {
            set "notif_uri" "${0}";
        }
        if not string :is "${notif_uri}" "none" {
            notify :message "x" "${notif_uri}";
        }""",
        "keep",
    ),
    Case(
        "RFC 8579 §6",
        """require "fileinto";
        require "special-use";
        require "mailbox";
        fileinto :specialuse "\\\\Junk" :create "Spam";""",
        "into Spam",
    ),
    Case(
        "RFC 9042 §6",
        """require "fileinto";
        require "mailboxid";
        if header :contains ["from"] "sender" {
            if mailboxidexists "F6352ae03-b7f5-463c-896f-d8b48ee3" {
                fileinto :mailboxid "F6352ae03-b7f5-463c-896f-d8b48ee3"
                                    "INBOX.name.will.not.be.used";
            } else {
                fileinto "INBOX.harassment";
            }
        }""",
        "into INBOX.harassment",
    ),
    Case(
        "RFC 8580 §6.1, without XMPP",
        """require ["enotify", "fcc"];
        if notify_method_capability "xmpp:" "fcc" "yes" {
            notify :fcc "INBOX.Sent" :message "You got mail" "xmpp:ken@example.com?message;subject=SIEVE";
        } else {
            notify :fcc "INBOX.Sent" :message "You got mail!" "mailto:ken@example.com";
        }""",
        "notify You got mail!; keep",
    ),
    Case(
        "RFC 5429 §2.2",
        """require ["reject"];
        if size :over 100 {
            reject text:
Your message is too big.
.
            ;
        }""",
        "reject Your message is too big.\r\n",
    ),
]


class Knowing(AloneHost):
    """A host whose address book is RFC 6134's: every list is there, and the sender is in it."""

    def valid_list(self, uri: str) -> bool:
        """Every list is there."""
        return bool(uri)

    def in_list(self, uri: str, value: str) -> bool:
        """The sender is in the address book, an address of a network is in the block list."""
        return value in ({"sender@example.com"} if "addrbook" in uri else {"192.0.2.7", "setup.exe"})


LISTS = [
    Case(
        "RFC 6134 §2.9.1",
        """require ["envelope", "extlists", "fileinto", "spamtest",
                 "variables", "relational", "comparator-i;ascii-numeric"];
        if envelope :list "from" ":addrbook:default" {
          set "lim" "8";  /* Known: allow high spam score */
        } else {
          set "lim" "3";  /* Unknown: less tolerance in spam score */
        }
        if spamtest :value "ge" :comparator "i;ascii-numeric" "${lim}" {
          fileinto "spam";
        }""",
        "into spam",
        SPAM,
    ),
    Case(
        "RFC 6134 §2.9.4",
        """require ["variables", "extlists", "index", "reject"];
        if header :index 1 :matches "received" "*(* [*.*.*.*])*" {
          set "ip" "${3}.${4}.${5}.${6}";
          if string :list "${ip}"
              "tag:example.com,2011-04-10:DisallowedIPs" {
            reject "Message not allowed from this IP address";
          }
        }""",
        "reject Message not allowed from this IP address",
        b"Received: from x (mail [192.0.2.7]) by y; Tue, 5 Mar 2024 00:10:00 +0000\r\n" + PLAIN,
    ),
    Case(
        "RFC 6134 §2.9.5, with the tags in their order and “text:” for “:text”",
        """require [ "extlists", "foreverypart", "mime", "enclose" ];
        foreverypart
        {
          if header :mime :param "filename"
             :list ["Content-Type", "Content-Disposition"]
               "tag:example.com,2011-04-10:BadFileNameExts"
          {
            enclose :subject "Warning" text:
WARNING! The enclosed message has attachments that might be unsafe.
.
;
            break;
          }
        }""",
        "keep",
        EXECUTABLE,
    ),
]


@pytest.mark.parametrize("case", [*CASES, *LISTS], ids=str)
def test_examples(case: Case):
    """An example is accepted and does what its text says."""
    assert outcome(case, Knowing()) == case.expect
