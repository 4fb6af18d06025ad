"""What the demo mail says: fictional people at example.com, .org and .net, their subjects and sentences.

Words and nothing else; minijmap.demo makes messages of them. It must not know how mail is built.
"""

from typing import NamedTuple


class Person(NamedTuple):
    """Somebody who writes: a name, an address, and the hours that their clock is ahead of UTC."""

    name: str
    address: str
    ahead: float = 0


ALICE = Person("Alice Appleby", "alice@example.com", 1)
BOB = Person("Bob Birch", "bob@example.com", 1)
CAROL = Person("Carol Cedar", "carol@example.com", 1)
DIMITRA = Person("Δήμητρα Ελαιοδέντρου", "dimitra@example.org", 2)
YUKI = Person("桜井 ゆき", "yuki@example.net", 9)
OMAR = Person("عمر الزيتوني", "omar@example.org", 3)
NOA = Person("נועה אלון", "noa@example.net", 2)
IVAN = Person("Иван Берёзкин", "ivan@example.org", 3)
PRIYA = Person("Priya Banyan", "priya@example.net", 5.5)
ZOE = Person("Zoë Mühlbauer", "zoe@example.org", 1)
HUGH = Person("Hazel, Hugh (treasurer)", "hugh@example.net", -5)

FRIENDS = (BOB, CAROL, DIMITRA, YUKI, PRIYA, ZOE, HUGH, IVAN)

GARDEN = (
    "The frost took two of the tomato plants, but the beans don't seem to mind.",
    "Could we move the compost a little further from the bench?",
    "I counted nine ladybirds on one dill this morning.",
    "The rain barrel is full again, so nobody needs to carry water this week.",
    "I have far too many courgettes. Please, somebody, take courgettes.",
    "Shall we keep the corner by the wall wild, for the hedgehog?",
    "The seed list is in the shed, on the nail behind the door.",
    "I can bring the big ladder on Saturday if somebody holds it.",
    "Bees! The lavender was a very good idea.",
    "What about sweet peas along the fence this time?",
    "My neighbour gives us horse manure, as much as we like, if we come with a trailer.",
    "The lock of the gate sticks. A drop of oil, perhaps?",
    "Someone has painted the watering cans. They are lovely.",
    "I vote for potatoes, simply because digging them up is fun.",
)
DAILY = (
    "The train was on time for once, and the coffee was good.",
    "I found the book you were looking for, second shelf from the top.",
    "Let's talk about it on Thursday, when everybody is there.",
    "That works for me, and half past six would be even better.",
    "I've put the numbers into a table, so that we can compare them.",
    "The recipe needs an hour, but most of it is waiting.",
    "Your photos made my whole week.",
    "I'm not sure yet; give me until tomorrow evening.",
    "The bicycle is repaired and runs like new.",
    "We walked along the river until it got dark.",
    "Don't worry about the key, I have a second one.",
    "Thank you for the lovely evening, and for the cake above all.",
    "The choir starts again in the second week of the month.",
    "I'll bring bread and cheese, you bring something to drink.",
)
SUBJECTS = (
    "Dinner on Friday",
    "Choir: the new songs",
    "The boat needs paint",
    "Moving day: who has a van?",
    "Book club, chapter seven",
    "Chess by mail",
    "A name for the cat",
    "Holiday plans",
    "The leaking tap",
    "Grandmother's recipes",
    "Hike around the lake",
    "Quiz night",
)
GARDEN_SUBJECT = "Village garden: what shall we plant this year?"
LONG_SUBJECT = (
    "Everything that still has to be done before the summer fair, in the order in which I remembered it while "
    "waiting for the bus, with the names of those who offered (perhaps without knowing it) to do it"
)
SCRIPTS = (
    (
        DIMITRA,
        "Καλημέρα από τη θάλασσα",
        "Καλημέρα! Ο καιρός είναι υπέροχος και η θάλασσα ζεστή.\nΠότε θα έρθετε;\n",
        "utf-8",
    ),
    (
        YUKI,
        "お花見のご案内",
        "みなさん、こんにちは。\n土曜日に公園でお花見をします。\nお弁当を持ってきてください。\n",
        "iso-2022-jp",
    ),
    (YUKI, "写真をありがとう 📷", "素敵な写真をありがとう!\n猫がとてもかわいいです。🐈\n", "utf-8"),
    (OMAR, "دعوة إلى العشاء", "مرحبا أليس،\nنود دعوتك إلى العشاء يوم الخميس.\nمع أطيب التحيات،\nعمر\n", "utf-8"),
    (NOA, "שלום מחיפה", "שלום אליס,\nהספר הגיע אתמול, תודה רבה!\nנועה\n", "utf-8"),
    (NOA, "תמונות מהטיול", "היה יום יפה ליד הים.\n", "iso-8859-8"),
    (IVAN, "Рецепт борща", "Привет, Алиса!\nРецепт простой: свёкла, капуста и терпение.\nИван\n", "koi8-r"),
    (IVAN, "Шахматы", "Мой ход: конь f3.\nТвоя очередь!\n", "windows-1251"),
    (
        ZOE,
        "Grüße aus der Kaffeerösterei",
        "Hallo Alice,\nschöne Grüße! Der Kaffee heißt „Süße Träume“.\nZoë\n",
        "utf-8",
    ),
    (
        ZOE,
        "Menu de dimanche",
        "Entrée : pâté végétal\nPlat : ratatouille à l'ancienne\nDessert : crème brûlée\n",
        "iso-8859-1",
    ),
    (PRIYA, "🎉🎂🎈", "Happy birthday!!! 🎉🎂🎈\n👩‍🌾🌻🐝\n", "utf-8"),
    (PRIYA, "दीपावली की शुभकामनाएँ", "आपको और परिवार को दीपावली की शुभकामनाएँ। 🪔\n", "utf-8"),
)
NEWSLETTERS = (
    (
        "The Weekly Sparrow",
        "sparrow.example.org",
        "#7a4f1d",
        ("Five birds you can hear from your desk", "How to be quiet"),
    ),
    ("Slow Bread", "bread.example.net", "#9a6b2f", ("A crust that sings", "What your starter wants to tell you")),
    ("Maps & Rivers", "maps.example.org", "#1d5f7a", ("The town that moved", "Folding a map, a short history")),
    ("Small Machines", "machines.example.net", "#3b3b6d", ("A clock from a bicycle", "Doing less with less")),
)
LISTS = (
    (
        "garden-talk",
        "lists.example.org",
        ("Slugs, again", "Seed swap in spring", "Which spade?", "Tomatoes in the shade"),
    ),
    ("old-radios", "lists.example.net", ("Valve with a purple glow", "Schematics wanted", "Antenna on a balcony")),
)
NOTICES = (
    ("Town Library", "library@example.org", "Your loans are due in three days", "Two of your books are due soon."),
    ("Ferry Line", "tickets@example.net", "Your ticket to the island", "Please be at the pier ten minutes early."),
    ("Corner Bookshop", "orders@example.org", "Your order is ready", "Your books wait for you behind the counter."),
    ("Water Works", "billing@example.net", "Your invoice", "Please find attached what you used, and what it costs."),
    ("Bicycle Workshop", "hello@example.org", "All repaired", "Your bicycle is ready. The bell was the problem."),
    ("Post Office", "parcels@example.net", "A parcel is on its way", "Expect it between nine and noon."),
)
JUNK = (
    "You have won a mountain (really)",
    "Double the length of your weekends",
    "Exclusive: gently used moon dust",
    "Your horoscope says: open this",
    "Cheap castles, no questions asked",
    "URGENT request from a distant teapot",
    "Learn to whistle in nine days",
    "Invisible ink, now in colour",
)
EVENTS = ("Choir rehearsal", "Picnic by the lake", "Repair café", "Garden committee", "Film night")
