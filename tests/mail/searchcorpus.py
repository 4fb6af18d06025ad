"""A small mailbox in many languages, for tests of search and of snippets."""

from email.message import EmailMessage
from email.policy import SMTP

MESSAGES = {
    "lunch": {"from": "Alice Archer <alice@example.com>", "subject": "Tomorrow", "body": "Shall we have lunch there at noon?"},
    "dots": {"from": "ci@builds.example.org", "subject": "Release 2.10.1-rc.3 of foo-bar_baz is out", "body": "See v2.10.1."},
    "joe": {"from": "Joe Public <joe.public@example.com>", "to": "sales+eu@widgets.example", "subject": "Offer", "body": "As agreed."},
    "host": {"from": "root@mail.example.net", "subject": "Disk full on db01.internal.example.net", "body": "Host db01, 97% used."},
    "copy": {"from": "x@y.example", "cc": "Carla Copy <carla@copies.example>", "bcc": "Bert Blind <bert@hidden.example>",
             "subject": "Minutes", "body": "Nothing to add."},
    "invoice": {"from": "billing@shop.example", "subject": "Invoice 2026-00417", "body": "Total: 1,234.56 EUR, due 2026-02-01.",
                "files": ["Rechnung_00417.pdf"]},
    "german": {"from": "Jürgen Groß <juergen@example.de>", "subject": "Größere Straßenbauarbeiten", "body": "Die Straße ist gesperrt."},
    "french": {"from": "Élodie <elodie@example.fr>", "subject": "Déjà vu à l’école", "body": "Un café crème, s’il te plaît. Œuvre!"},
    "spanish": {"from": "Íñigo <inigo@example.es>", "subject": "Mañana", "body": "¿Dónde está la niña? ¡Aquí!"},
    "polish": {"from": "Łukasz <lukasz@example.pl>", "subject": "Zażółć gęślą jaźń", "body": "Łódź, środa"},
    "danish": {"from": "Søren <soren@example.dk>", "subject": "Smørrebrød", "body": "Blåbærgrød på Ærø"},
    "turkish": {"from": "Işıl <isil@example.tr>", "subject": "İSTANBUL toplantısı", "body": "Diyarbakır'da ılık bir gün"},
    "greek": {"from": "Νίκος <nikos@example.gr>", "subject": "Καλημέρα κόσμε", "body": "Ο άνθρωπος και η θάλασσα. ΟΔΥΣΣΕΥΣ"},
    "russian": {"from": "Пётр <petr@example.ru>", "subject": "Зелёная ёлка", "body": "Мой дом стоит у моря. Счёт № 42."},
    "ukrainian": {"from": "Їжак <jizhak@example.ua>", "subject": "Київ", "body": "Ґанок і їжа"},
    "arabic": {"from": "سارة <sara@example.sa>", "subject": "اِجْتِمَاعٌ مُهِمّ", "body": "أهلاً وسهلاً، الكتـــاب رقم ١٢٣"},
    "hebrew": {"from": "דנה <dana@example.il>", "subject": "שָׁלוֹם לכולם", "body": "הפגישה מחר בשעה עשר"},
    "hindi": {"from": "रवि <ravi@example.in>", "subject": "नमस्ते दुनिया", "body": "हिन्दी में लिखा हुआ पत्र।"},
    "thai": {"from": "สมชาย <somchai@example.th>", "subject": "นัดประชุมวันศุกร์", "body": "พรุ่งนี้กินข้าวเที่ยงที่ร้านอาหารไทย"},
    "japanese": {"from": "山田太郎 <yamada@example.jp>", "subject": "東京出張の件", "body": "お世話になっております。会議は来週のカレンダーをご確認ください。資料はＰＤＦです。"},
    "halfwidth": {"from": "suzuki@example.jp", "subject": "ﾌﾟﾛｼﾞｪｸﾄ報告", "body": "iPhone15を買う予定"},
    "chinese": {"from": "王小明 <wang@example.cn>", "subject": "北京大学会议通知", "body": "我们明天下午三点开会。请带上报告。"},
    "taiwan": {"from": "陳 <chen@example.tw>", "subject": "臺北", "body": "謝謝您的來信"},
    "korean": {"from": "김철수 <kim@example.kr>", "subject": "회의를 연기합니다", "body": "다음주 월요일에 학교에서 만나요"},
    "html": {"from": "news@letters.example", "subject": "Newsletter", "html": "<head><title>Hidden</title></head><p>Sale on <b>gum</b>boots &amp; hats"
             "<img src=x.png alt=picture></p><script>secretscript()</script>"},
    "shy": {"from": "a@b.example", "subject": "Soft", "body": "Donau\u00addampf\u00adschiff and zero\u200bwidth"},
}  # fmt: skip


def raw(key):
    """A message of the corpus, as it would arrive."""
    given = MESSAGES[key]
    made = EmailMessage(policy=SMTP)
    for name in ("from", "to", "cc", "bcc", "subject"):
        if name in given:
            made[name.capitalize()] = given[name]
    made["Message-ID"] = f"<{key}@corpus.example>"
    made["X-Corpus"] = f"the {key} message"
    if "html" in given:
        made.set_content(given["html"], subtype="html")
    else:
        made.set_content(given["body"], cte="base64")
    for file in given.get("files", ()):
        made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename=file)
    return made.as_bytes()


def deliver_all(house):
    """Have every message arrive; the Emails' ids by key."""
    return {key: house.deliver(raw(key)) for key in MESSAGES}
