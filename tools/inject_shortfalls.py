"""Makes complete tickets fall short, one known defect each, and marks them `origin=injected`.

`tools/build_data.py` calls it. A share of the complete tickets of each split is drawn with a fixed
seed; each gets one defect of a kind that its fields allow:

    empty            a field that its team cannot do without becomes null
    says_nothing     steps or wish are replaced by words without content
    wrong_field      steps and wish change places, or the order number stands in the product field
    wrong_language   steps or wish come from a ticket of the same split in another language
    contradicts      another product, another category, or another order number than the text says

So a model can be trained on many defects, and scored on natural ones alone.
"""

import random
import re
from collections.abc import Callable

SHARE = 0.28  # of the complete tickets of a split
SEED = 20261121
KINDS = {"empty": 30, "says_nothing": 25, "wrong_field": 15, "wrong_language": 10, "contradicts": 20}
NEEDED = {  # what a team cannot do without
    "dispatch": ("order_number", "contact"),
    "returns": ("order_number", "contact"),
    "workshop": ("steps_tried", "contact"),
    "safety": ("product", "contact"),
    "accounts": ("order_number", "contact"),
    "advice": ("product", "contact"),
    "webshop": ("contact",),
}
NOTHING = {
    "steps_tried": {
        "en": (
            "Everything.",
            "What the booklet says, more or less",
            "see my last message",
            "All the usual things and then some.",
            "n/a",
            "A friend had a look at it.",
            "I tried what you told me",
            "Various",
        ),
        "de": (
            "Alles.",
            "Was man eben so macht",
            "siehe oben",
            "Das Übliche, ohne Erfolg.",
            "-",
            "Mein Schwager hat danach geschaut.",
            "wie besprochen",
            "Diverses",
        ),
        "fr": (
            "Tout.",
            "Ce qu'on fait d'habitude",
            "voir plus haut",
            "Plusieurs choses, sans succès.",
            "néant",
            "Un ami a regardé.",
            "comme convenu au téléphone",
            "Divers",
        ),
        "es": (
            "Todo.",
            "Lo que se suele hacer",
            "ver arriba",
            "Varias cosas, sin éxito.",
            "nada que añadir",
            "Lo miró un amigo.",
            "lo que me dijeron",
            "Diversas",
        ),
        "el": (
            "Τα πάντα.",
            "Ό,τι κάνει κανείς συνήθως",
            "βλέπε παραπάνω",
            "Διάφορα, χωρίς αποτέλεσμα.",
            "-",
            "Το κοίταξε ένας φίλος.",
            "όπως είπαμε",
            "Πολλά",
        ),
    },
    "expected_outcome": {
        "en": (
            "A solution.",
            "You know best.",
            "That you do something",
            "as agreed",
            "A reasonable outcome for all concerned.",
            "To be treated properly.",
            "tbd",
            "Help please",
        ),
        "de": (
            "Eine Lösung.",
            "Das wissen Sie selbst am besten.",
            "dass etwas passiert",
            "wie vereinbart",
            "Ein vernünftiges Ergebnis.",
            "Ordentlich behandelt zu werden.",
            "offen",
            "Bitte um Hilfe",
        ),
        "fr": (
            "Une solution.",
            "Vous saurez mieux que moi.",
            "que quelque chose se passe",
            "comme prévu",
            "Une issue raisonnable.",
            "Être traité correctement.",
            "à voir",
            "De l'aide svp",
        ),
        "es": (
            "Una solución.",
            "Ustedes sabrán.",
            "que se haga algo",
            "según lo acordado",
            "Un resultado razonable.",
            "Que me traten bien.",
            "por definir",
            "Ayuda por favor",
        ),
        "el": (
            "Μια λύση.",
            "Εσείς ξέρετε καλύτερα.",
            "να γίνει κάτι",
            "όπως συμφωνήσαμε",
            "Ένα λογικό αποτέλεσμα.",
            "Να με σεβαστείτε.",
            "θα δούμε",
            "Βοήθεια παρακαλώ",
        ),
    },
}

Ticket = dict
Defect = tuple[dict, list[str]]  # the changed fields, and what falls short


def inject(
    tickets: list[Ticket], catalogue: list[dict], share: float = SHARE, seed: int = SEED
) -> list[Ticket]:
    """Return the tickets in their order, `share` of the complete ones of each split with a defect."""
    chance = random.Random(seed)
    result = [dict(ticket) for ticket in tickets]
    for split in sorted({ticket["split"] for ticket in tickets}):
        complete = [t for t in result if t["split"] == split and t["complete"] == "yes"]
        for ticket in chance.sample(complete, round(share * len(complete))):
            others = [t for t in tickets if t["split"] == split and t["ticket_id"] != ticket["ticket_id"]]
            changes, shortfalls = defect(ticket, others, catalogue, chance)
            ticket |= changes | {"complete": "no", "shortfalls": shortfalls, "origin": "injected"}
    return result


def defect(ticket: Ticket, others: list[Ticket], catalogue: list[dict], chance: random.Random) -> Defect:
    """Draw a kind of defect by its weight among those that the ticket's fields allow."""
    kinds = dict(KINDS)
    while kinds:
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        if options := POSSIBLE[kind](ticket, others, catalogue):
            return chance.choice(options)
        del kinds[kind]
    raise ValueError(f"ticket {ticket['ticket_id']} has no field that could fall short.")


def _empty(ticket: Ticket, others, catalogue) -> list[Defect]:
    names = [name for name in NEEDED[ticket["team"]] if ticket[name] is not None]
    return [({name: None}, [f"{name}:empty"]) for name in names]


def _says_nothing(ticket: Ticket, others, catalogue) -> list[Defect]:
    return [
        ({name: words}, [f"{name}:says_nothing"])
        for name, by_language in NOTHING.items()
        if ticket[name] is not None
        for words in by_language[ticket["language"]]
    ]


def _wrong_field(ticket: Ticket, others, catalogue) -> list[Defect]:
    options = []
    steps, wish = ticket["steps_tried"], ticket["expected_outcome"]
    if steps and wish:
        names = ["steps_tried:wrong_field", "expected_outcome:wrong_field"]
        options.append(({"steps_tried": wish, "expected_outcome": steps}, names))
    if ticket["product"] and ticket["order_number"]:
        changes = {"product": ticket["order_number"], "order_number": None}
        options.append((changes, ["product:wrong_field", "order_number:empty"]))
    return options


def _wrong_language(ticket: Ticket, others, catalogue) -> list[Defect]:
    """Only from tickets of the same team and category, so that nothing but the language is odd."""
    return [
        ({name: other[name]}, [f"{name}:wrong_language"])
        for name in ("steps_tried", "expected_outcome")
        for other in others
        if ticket[name] and other[name] and other["complete"] == "yes"
        if other["language"] != ticket["language"]
        if (other["team"], other["category"]) == (ticket["team"], ticket["category"])
    ]


def _contradicts(ticket: Ticket, others, catalogue) -> list[Defect]:
    options = []
    text = f"{ticket['title']} {ticket['description']}"
    products = {product: entry for entry in catalogue for product in entry["products"]}
    own = products.get(ticket["product"])
    if own and ticket["product"].split()[-1].lower() in text.lower():  # the text says what it is about
        options += [
            ({"product": product}, ["product:contradicts"])
            for product, entry in products.items()
            if entry["split"] == own["split"] and entry["category"] != own["category"]
        ]
    if ticket["category"] in ("delivery", "damaged_or_faulty", "account_or_website", "payment_or_invoice"):
        far = {"delivery": "product_question", "damaged_or_faulty": "payment_or_invoice"}
        options.append(({"category": far.get(ticket["category"], "delivery")}, ["category:contradicts"]))
    number = ticket["order_number"]
    if number and number in text:
        changed = re.sub(r"\d{3}$", lambda tail: f"{(int(tail[0]) + 317) % 1000:03d}", number)
        options.append(({"order_number": changed}, ["order_number:contradicts"]))
    return options


POSSIBLE: dict[str, Callable[..., list[Defect]]] = {
    "empty": _empty,
    "says_nothing": _says_nothing,
    "wrong_field": _wrong_field,
    "wrong_language": _wrong_language,
    "contradicts": _contradicts,
}
